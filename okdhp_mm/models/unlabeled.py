"""Teaching with unlabeled images: teacher on the easy view, branches on hard views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.structures import PoseDataSample
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UserError, check_choice
from ..structures import KEYPOINTS, MAPS, Unlabeled
from .hard_views import HardViews, swapped
from .heads.adapters import HeadAdapter

EMA, PEERS = 'ema', 'peers'
KEY = 'unlabeled'
"""Entry of a sample's metainfo that marks it as unlabeled."""


class UnlabeledTeaching(nn.Module):
    """Second forward pass of a training step, on the unlabeled images of the batch.

    The teacher sees the images of the data pipeline, and every branch a harder view of its own, see
    :class:`~okdhp_mm.models.hard_views.HardViews`. Batch norm uses the statistics of these views,
    but does not add them to its running statistics: a deployed student never sees such images.

    Args:
        teacher: 'ema' (the ensemble of the EMA copy teaches all branches; a mean teacher if there
            is one branch) or 'peers' (the mean of the other branches teaches a branch; with two
            branches this is PoseDual).
        target: Target of a branch: 'keypoints' (the peaks of the teacher's maps, encoded like
            labels) or 'maps' (the maps themselves, moved like the image).
        flip_test: Whether the teacher's maps are the mean of those of the image and of its mirror
            image. Not done if no view is mirrored.
        confidence: Keypoints with a lower peak of the teacher are left out, in [0, 1). The peak of
            a label is 1.
        views: Arguments of ``HardViews``.

    Raises:
        UserError: If the teacher or the target does not exist, or the confidence is out of range.
    """

    label: Tensor
    center: Tensor

    def __init__(
        self,
        teacher: str = EMA,
        target: str = KEYPOINTS,
        flip_test: bool = True,
        confidence: float = 0.2,
        views: dict | None = None,
    ):
        super().__init__()
        check_choice('model.unlabeled.teacher', teacher, (EMA, PEERS))
        check_choice('model.unlabeled.target', target, (KEYPOINTS, MAPS))
        if not 0 <= confidence < 1:
            raise UserError(
                f'model.unlabeled.confidence={confidence} must be in [0, 1); a label has a peak '
                'of 1.'
            )
        self.teacher = teacher
        self.target = target
        self.flip_test = flip_test
        self.confidence = confidence
        self.views = HardViews(**(views or {}))

    def check(self, branches: int, keeps_ema: bool) -> None:
        """Check that the model has this teacher.

        Raises:
            UserError: If it does not.
        """
        if self.teacher == EMA and not keeps_ema:
            raise UserError(
                "model.unlabeled.teacher='ema' requires an EMA copy of the model. Set "
                'model.ema=dict(momentum=0.001).'
            )
        if self.teacher == PEERS and branches < 2:
            raise UserError(
                "model.unlabeled.teacher='peers' requires several branches, but the model has one. "
                "Set branches=2, or teacher='ema'."
            )

    def attach(self, adapter: HeadAdapter) -> None:
        """Keep the label of a keypoint in the center of the image, which others are shifts of."""
        sides = adapter.head.decoder.input_size
        center = np.array([[length // 2 for length in sides]], np.float32)
        label = adapter.encode(center[None], np.ones((1, 1), np.float32))
        self.register_buffer('label', label, persistent=False)
        self.register_buffer('center', torch.from_numpy(center), persistent=False)

    def forward(
        self,
        model: BasePoseEstimator,
        images: Tensor,
        samples: list[PoseDataSample],
    ) -> Unlabeled:
        """Compute what the branches predict, and what they should.

        Args:
            model: The model that is trained.
            images: Unlabeled images, (B, 3, H, W).
            samples: Their samples.
        """
        head = model.head
        with batch_statistics(model):
            flip_indices: Sequence[int] = samples[0].metainfo['flip_indices']
            teachers = self._teachers(model, images).float()
            if self.flip_test and self.views.mirrors(flip_indices):
                mirrored = self._teachers(model, images.flip(-1)).float()
                back = mirrored_back(head.adapter, mirrored.flatten(0, 1), images, flip_indices)
                teachers = (teachers + back.view_as(teachers)) / 2
            moved = self.views(
                images, teachers, head.adapter, flip_indices, move_maps=self.target == MAPS
            )
            with torch.set_grad_enabled(torch.is_grad_enabled() and not model.freeze_backbone):
                features = model.backbone(moved.images)
            outputs = head.branch_outputs(features)
        maps = self._labels(head.adapter, moved.places) if moved.maps is None else moved.maps
        weights = (moved.inside & (moved.heights >= self.confidence)).float()
        with torch.no_grad():
            _, heights = head.adapter.peaks(outputs.final_heatmaps)
        return Unlabeled(
            outputs.heatmaps,
            maps,
            weights,
            dict(
                unlabeled_peak=heights.float().mean(),
                unlabeled_teacher_peak=moved.heights.mean(),
                unlabeled_used=weights.mean(),
            ),
        )

    def _labels(self, adapter: HeadAdapter, places: Tensor) -> Tensor:
        """Encode keypoints like labels, (M, B, K, 2) -> (M, B, K, H, W)."""
        shifts = self.center - places.flatten(0, -2)
        unmoved = torch.eye(2, device=places.device).expand(len(shifts), 2, 2)
        labels = adapter.warp(self.label.expand(len(shifts), -1, -1, -1), unmoved, shifts)
        return labels.view(*places.shape[:-1], *labels.shape[-2:])

    @torch.no_grad()
    def _teachers(self, model: BasePoseEstimator, images: Tensor) -> Tensor:
        """Return the maps of the teacher of each branch on the easy view, (M, B, K, H, W)."""
        count = len(model.head.branches)
        if self.teacher == EMA:
            assert model.ema is not None  # see `check`
            copied = model.ema.module
            ensemble = copied.head.outputs(copied.backbone(images)).ensemble
            return ensemble.expand(count, *ensemble.shape)
        maps = model.head.branch_outputs(model.backbone(images)).final_heatmaps
        return (maps.sum(0) - maps) / (count - 1)


def mirrored_back(
    adapter: HeadAdapter, maps: Tensor, images: Tensor, flip_indices: Sequence[int]
) -> Tensor:
    """Return the maps (B, K, H, W) of mirrored images as maps of the images.

    mmpose's flip of heatmaps would leave those of codecs like MSRA up to a pixel apart.
    """
    count = len(maps)
    linear = torch.eye(2, device=maps.device).expand(count, 2, 2).clone()
    linear[:, 0, 0] = -1
    offset = torch.zeros(count, 2, device=maps.device)
    offset[:, 0] = images.shape[-1] - 1
    all_mirrored = torch.ones(count, dtype=torch.bool, device=maps.device)
    return swapped(all_mirrored, flip_indices, adapter.warp(maps, linear, offset))


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Normalize by the statistics of the batch, without adding them to the running ones."""
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def split_batch(
    images: Tensor, samples: list[PoseDataSample]
) -> tuple[tuple[Tensor, list[PoseDataSample]], tuple[Tensor, list[PoseDataSample]]]:
    """Split a batch into its labeled and its unlabeled samples, which follow the labeled ones.

    Raises:
        UserError: If no sample is labeled, or the order is another.
    """
    marks = [sample.metainfo.get(KEY, False) for sample in samples]
    count = marks.count(False)
    if not count or any(marks[:count]):
        raise UserError(
            'A batch must have labeled samples, and the unlabeled ones must follow them. Set '
            "train_dataloader.sampler=dict(type='MixedSampler', ...)."
        )
    return (images[:count], samples[:count]), (images[count:], samples[count:])
