"""Any stock metric over the frames of whole tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS

from ...errors import UserError
from .structures import Clip


@METRICS.register_module()
class ClipMetric(BaseMetric):
    """Runs a stock metric on the frames of clips.

    mmengine keeps as many results as the dataset has samples. Here a sample is a track, so that
    this metric stores one entry per track, and several processes can share the tracks.

    Args:
        metric: Config of the stock metric. It must store one result per image.
        frames: Evaluate only this range of every track, ``(start, stop)`` as in a slice; None for
            all. With ``prefix``, several of these metrics show how the error grows with time.
        prefix: Of the names of the values; by default that of the stock metric.

    Raises:
        UserError: If ``frames`` is not such a range.
    """

    def __init__(
        self,
        metric: ConfigDict,
        frames: tuple[int, int] | None = None,
        prefix: str | None = None,
    ):
        if frames is not None and not (len(frames) == 2 and 0 <= frames[0] < frames[1]):
            raise UserError(f'ClipMetric: frames={frames} must be (start, stop) with start < stop.')
        self._metric = METRICS.build(metric)
        super().__init__(self._metric.collect_device, prefix or self._metric.prefix)
        self.frames = slice(*frames) if frames else slice(None)

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the dataset, kept by the stock metric."""
        return self._metric.dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._metric.dataset_meta = dataset_meta

    def process(self, data_batch: Any, data_samples: Sequence[Clip]) -> None:
        """Store the results of every clip.

        Args:
            data_batch: Not used.
            data_samples: Predicted clips.
        """
        for clip in data_samples:
            if not isinstance(clip, Clip):
                raise UserError(
                    'ClipMetric evaluates predicted clips, and the model predicts single images. '
                    'Use the stock metric itself.'
                )
            samples = [sample.to_dict() for sample in clip.data_samples[self.frames]]
            self._metric.process(None, samples)
            self.results.append(self._metric.results)
            self._metric.results = []

    def compute_metrics(self, results: list[list]) -> dict[str, float]:
        """Return the values of the stock metric over all frames.

        Raises:
            UserError: If no track has such frames.
        """
        frames = [result for clip in results for result in clip]
        if not frames:
            raise UserError(f'No track has frames {self.frames.start} to {self.frames.stop}.')
        return self._metric.compute_metrics(frames)
