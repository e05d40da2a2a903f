"""Compute the ensemble from the fused features of all branches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import nn

from ...errors import UserError
from ...structures import BranchOutputs, Targets
from .base import Aggregator


@MODELS.register_module()
class FeatureFusion(Aggregator):
    """Ensemble head on the concatenated head features of all branches.

    This is the fusion module of FFL (Kim et al., 2019, https://arxiv.org/abs/1904.09058):
    concatenation, a depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU. It is also
    the peer ensemble of PCL (Wu & Gong, AAAI 2021, https://arxiv.org/abs/2006.04147). It can be
    right if all branches are wrong, unlike a convex combination of their heatmaps.

    Args:
        in_channels: Channels C of the shared feature.
        num_branches: M.
        num_keypoints: K.
        branch_channels: Channels of every branch's head features.
        mid_channels: Channels after the 1x1 convolution. Default: those of the widest branch.

    Shape:
        M x (B, C_m, H, W) -> (B, K, H, W).

    Raises:
        UserError: If ``mid_channels`` is not positive.

    Source: written from the description. Difference: the paper's classifier pools the fused
    feature. Here it is not pooled, and a 1x1 convolution computes heatmaps from it.
    """

    requires = frozenset({'head_features'})

    def __init__(
        self,
        in_channels: int,
        num_branches: int,
        num_keypoints: int,
        branch_channels: Sequence[int],
        mid_channels: int | None = None,
        # mmpose initializes the last layers of heatmap heads like this.
        init_cfg=(
            dict(type='Normal', layer='Conv2d', std=0.001),
            dict(type='Constant', layer='BatchNorm2d', val=1),
        ),
    ):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        mid_channels = max(branch_channels) if mid_channels is None else mid_channels
        if mid_channels < 1:
            raise UserError(f'FeatureFusion: mid_channels={mid_channels} must be at least 1.')
        width = sum(branch_channels)
        self.fuse = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, mid_channels, 1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, num_keypoints, 1),
        )

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Add the heatmaps that are computed from the fused features."""
        return outputs.aggregated(self.fuse(torch.cat(outputs.head_features, 1)))
