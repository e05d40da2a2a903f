"""Teacher with the weights of an earlier training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...errors import UserError
from ...io.checkpoint import load_checkpoint, load_weights
from ...io.config import read_config
from ..heads.adapters import HeadAdapter, find_adapter
from ..weights.load_stock import check_branched, is_branched
from .base import Teacher
from .resample import resample, uses_udp


@MODELS.register_module()
class FrozenTeacher(Teacher):
    """Frozen, trained teacher network, for offline distillation with the terms of the online one.

    Fast human pose estimation (Zhang et al., CVPR 2019, https://arxiv.org/abs/1811.05419)
    distills a trained network into a small one. DWPose (Yang et al., 2023,
    https://arxiv.org/abs/2307.15880) distills a network into its own head. The teacher gets the
    images of the student's data pipeline, without gradients. To measure its accuracy, test it
    separately.

    Args:
        config: Config file of the teacher: any top-down heatmap network of mmpose, or a training
            config of this package.
        checkpoint: Checkpoint of the teacher, a local file.
        output: Output of a multi-branch teacher to learn from, an index or 'ensemble'; None for
            the output that its config deploys.
        keypoints: For every keypoint of the student, the index of the teacher's, or None for a
            keypoint that the teacher does not have and does not teach. By default both have the
            same keypoints.

    Heatmaps and SimCC distributions of another size are resized to the student's.

    Raises:
        UserError: From :meth:`init_weights`, if ``config`` or ``checkpoint`` is missing or cannot
            be read, the checkpoint is of another network, or the student cannot learn from this
            teacher.
    """

    name = 'frozen'
    is_init: bool

    def __init__(
        self,
        config: str | None = None,
        checkpoint: str | None = None,
        output: int | str | None = None,
        keypoints: Sequence[int | None] | None = None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        self.config = config
        self.checkpoint = checkpoint
        self.output = output
        self.keypoints = keypoints
        self.network: BasePoseEstimator | None = None

    def init_weights(self) -> None:
        """Build the network and load its weights."""
        if self.is_init:
            return
        if not self.config or not self.checkpoint:
            raise UserError(
                f'FrozenTeacher: config={self.config!r} and checkpoint={self.checkpoint!r} must '
                'both name files. Set model.teacher.config and model.teacher.checkpoint.'
            )
        self.network = read_teacher(self.config, self.checkpoint, self.output)
        head = self.network.head
        self._adapter = getattr(head, 'adapter', None) or find_adapter(head)
        if self.student is not None:
            check_fit(self._adapter, self.student, self.keypoints, self.config)
            self._size = self.student.map_size()
        if self.keypoints is not None:
            # As buffers they go to the device once, not in every step.
            chosen = [(index or 0, index is not None) for index in self.keypoints]
            indices, taught = zip(*chosen, strict=True)
            self.register_buffer('indices', torch.tensor(indices), persistent=False)
            self.register_buffer('taught', torch.tensor(taught), persistent=False)
        self.is_init = True

    @torch.no_grad()
    def forward(self, images: Tensor, data_samples: list[PoseDataSample]) -> Tensor:
        """Return the final heatmaps of the network, (B, 3, H, W) -> (B, K, H', W')."""
        if self.network is None:
            raise UserError(
                'FrozenTeacher has no weights yet. Call model.init_weights() before the training.'
            )
        maps = self._adapter.to_maps(self.network(images, None, mode='tensor'))[-1]
        if self.keypoints is not None:
            maps = maps[:, self.indices]
        if self.student is None:
            return maps
        aligned = uses_udp(self.student.head.decoder)
        return resample(maps, self._size, self._adapter.bins, self.student.bins, aligned)

    def weights(self, data_samples: list[PoseDataSample]) -> Tensor | None:
        """Return the weights of the labels, 0 for keypoints that the teacher does not have."""
        if self.keypoints is None or all(index is not None for index in self.keypoints):
            return None
        labels = [sample.gt_instance_labels.keypoint_weights for sample in data_samples]
        return torch.cat(labels) * self.taught


def check_fit(
    teacher: HeadAdapter,
    student: HeadAdapter,
    keypoints: Sequence[int | None] | None,
    config: str,
) -> None:
    """Check that a student can learn from a teacher.

    Args:
        teacher: Adapter of the teacher's head.
        student: Adapter of the student's head.
        keypoints: See :class:`FrozenTeacher`.
        config: Config file of the teacher, to name in errors.

    Raises:
        UserError: If they predict different keypoints, or maps that cannot be converted.
    """
    theirs, ours = teacher.head.out_channels, student.head.out_channels
    remedy = 'Label the pictures by `python -m okdhp_mm pseudo-label` and learn from the file.'
    if keypoints is None and theirs != ours:
        raise UserError(
            f'The teacher {config} predicts {theirs} keypoints, but the student {ours}. Set '
            f'model.teacher.keypoints to {ours} indices of the keypoints of the teacher, or train '
            'by --teacher, which finds them by name.'
        )
    if keypoints is not None and (
        len(keypoints) != ours or any(k is not None and k not in range(theirs) for k in keypoints)
    ):
        raise UserError(
            f'model.teacher.keypoints={list(keypoints)} must have {ours} entries, one per keypoint '
            f'of the student: None, or an index from 0 to {theirs - 1}.'
        )
    if bool(teacher.bins) != bool(student.bins):
        raise UserError(
            f'The teacher {config} predicts {teacher.signature}, but the student '
            f'{student.signature}. {remedy}'
        )
    sizes = [tuple(map(int, each.head.decoder.input_size)) for each in (teacher, student)]
    if teacher.bins and sizes[0] != sizes[1]:
        raise UserError(
            f'The teacher {config} takes images of {sizes[0]}, but the student {sizes[1]}, and '
            f'SimCC heads take one size only. {remedy}'
        )


def read_teacher(config: str, checkpoint: str, output: int | str | None) -> BasePoseEstimator:
    """Return the frozen network of a config and a checkpoint.

    Raises:
        UserError: If a file cannot be read, ``output`` is set for a network without branches, or
            the checkpoint is of another network.
    """
    model = read_config(config).model
    if output is not None:
        if 'branches' not in model:
            raise UserError(
                f'FrozenTeacher: output={output!r} chooses one of several branches, but {config} '
                'has no branches. Remove output.'
            )
        model.test_cfg = dict(model.get('test_cfg') or {}, branch=output)
    teacher = MODELS.build(model)
    state = load_checkpoint(checkpoint)['state_dict']
    if is_branched(teacher.state_dict()):
        check_branched(state, checkpoint)
    load_weights(teacher, state, f'FrozenTeacher: {checkpoint} is not a checkpoint of {config}')
    return teacher.requires_grad_(False).eval()
