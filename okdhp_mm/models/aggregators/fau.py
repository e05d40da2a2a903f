"""The feature aggregation unit: which branch to believe for which keypoint of which image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError
from .base import WeightedAggregator


@MODELS.register_module()
class FAU(WeightedAggregator):
    """Feature aggregation unit of OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092).

    ``u = sum_k ReLU(BN(conv_kxk(x)))`` over several kernel sizes, pooled over space, squeezed to
    ``mid_channels`` and expanded to one logit per branch and keypoint; the weights are a softmax
    over the branches. ``x`` is the trunk's shared feature. The number of kernels has nothing to
    do with the number of branches.

    Args:
        in_channels: Channels C of the shared feature.
        num_branches: M.
        num_keypoints: K.
        kernel_sizes: Sizes of the parallel convolutions, odd.
        mid_channels: Width of the squeezed descriptor.
        depthwise: Whether each convolution looks at one channel only. The full convolutions of
            the authors' code cost 45 % of their training compute; only a pooled descriptor
            is left of them, so the default spends almost nothing here.
        pool_size: Feature maps larger than this are first average-pooled to at most this height
            and width, in pixels of the feature map; None keeps the full resolution.

    Shape:
        forward: (B, C, H', W') -> (B, M, K), positive, sums to 1 over M.

    Raises:
        UserError: If a kernel size is even, or there is none.

    Source: https://github.com/zhengli97/OKDHP (lib/models/hourglass_okd.py), from which
    ``depthwise=False, pool_size=None`` differs by nothing but the branch-wise linear layers
    being one; the paper's figure has 1x1 convolutions, concatenation and an average-pool path
    besides, which their release leaves out.
    """

    def __init__(
        self,
        in_channels: int,
        num_branches: int,
        num_keypoints: int,
        kernel_sizes: Sequence[int] = (3, 5, 7),
        mid_channels: int = 64,
        depthwise: bool = True,
        pool_size: int | None = 16,
        init_cfg=None,
    ):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        if not kernel_sizes or any(size % 2 == 0 for size in kernel_sizes):
            raise UserError(f'FAU: kernel_sizes={tuple(kernel_sizes)} must be odd numbers.')
        self.pool_size = pool_size
        self.paths = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    in_channels,
                    size,
                    padding=size // 2,
                    groups=in_channels if depthwise else 1,
                ),
                nn.BatchNorm2d(in_channels),
                nn.ReLU(inplace=True),
            )
            for size in kernel_sizes
        )
        self.squeeze = nn.Linear(in_channels, mid_channels)
        self.expand = nn.Linear(mid_channels, num_branches * num_keypoints)

    def forward(self, shared_feat: Tensor) -> Tensor:
        """Weights of the branches per sample and keypoint, (B, C, H', W') -> (B, M, K)."""
        if self.pool_size is not None:
            height, width = shared_feat.shape[-2:]
            size = (min(height, self.pool_size), min(width, self.pool_size))
            shared_feat = F.adaptive_avg_pool2d(shared_feat, size)
        descriptor = sum(path(shared_feat).mean((-2, -1)) for path in self.paths)
        logits = self.expand(self.squeeze(descriptor))
        logits = logits.unflatten(-1, (self.num_branches, self.num_keypoints))
        return torch.softmax(logits, dim=1)
