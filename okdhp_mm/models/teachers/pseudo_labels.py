"""Teacher whose keypoints were found before the training."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...errors import UserError
from .base import Teacher

PSEUDO = 'pseudo_labels'
"""Attribute of a training sample: a sample with the keypoints that another network found."""


@MODELS.register_module()
class PseudoLabelTeacher(Teacher):
    """Teacher that replays pseudo-labels: keypoints that any other model found in the pictures.

    The data pipeline moves the keypoints with the picture and encodes them with the student's
    codec, see :class:`~okdhp_mm.data.WithPseudoLabels`. Their weights are
    the scores of the keypoints, 0 for keypoints that the other model did not find.
    """

    name = PSEUDO
    on_any_image = False

    def forward(self, images: Tensor, data_samples: list[PoseDataSample]) -> Tensor:
        """Return the encoded keypoints, (B, K, H, W)."""
        assert self.student is not None  # the estimator attaches its teacher
        return self.student.targets_to_maps(self.student.targets(pseudo_samples(data_samples)))

    def weights(self, data_samples: list[PoseDataSample]) -> Tensor:
        """Return the scores of the keypoints, (B, K)."""
        samples = pseudo_samples(data_samples)
        return torch.cat([sample.gt_instance_labels.keypoint_weights for sample in samples])


def pseudo_samples(data_samples: list[PoseDataSample]) -> list[PoseDataSample]:
    """Return the samples with the pseudo-labels.

    Raises:
        UserError: If a sample has none.
    """
    found = [sample.get(PSEUDO) for sample in data_samples]
    if any(sample is None for sample in found):
        raise UserError(
            'PseudoLabelTeacher: the training data has no pseudo-labels. Train by --teacher FILE, '
            'or add WithPseudoLabels to the pipeline of the training data.'
        )
    return found
