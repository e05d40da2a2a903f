"""Data preprocessor of clips."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS

from ...errors import UserError
from .structures import Clip, ClipBatch, Frame


@MODELS.register_module()
class ClipDataPreprocessor(PoseDataPreprocessor):
    """Normalizes clips as the stock preprocessor normalizes images, and arranges them by frame.

    Its arguments are those of the stock preprocessor.
    """

    def forward(self, data: Sequence[Clip], training: bool = False) -> dict[str, ClipBatch]:
        """Turn the clips of a batch into the arguments of a model.

        Args:
            data: The batch as the data loader gives it with mmengine's ``pseudo_collate``.
            training: As in the stock preprocessor.

        Raises:
            UserError: If these are not clips.
        """
        if not isinstance(data, Sequence) or not all(isinstance(clip, Clip) for clip in data):
            raise UserError(
                'This model needs clips, but the data loader gives single images. Wrap the '
                "dataset: dataset=dict(type='ClipDataset', dataset=...), and use "
                "collate_fn=dict(type='pseudo_collate')."
            )
        order = sorted(range(len(data)), key=lambda index: -len(data[index].inputs))
        frames = []
        for t in range(len(data[order[0]].inputs)):
            clips = [data[index] for index in order if len(data[index].inputs) > t]
            frame = super().forward(
                dict(
                    inputs=[clip.inputs[t] for clip in clips],
                    data_samples=[clip.data_samples[t] for clip in clips],
                ),
                training,
            )
            frames.append(Frame(**frame))
        return dict(clips=ClipBatch(frames, order))
