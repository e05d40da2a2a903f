"""Feature aggregation unit: weights of the branches per image and keypoint."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError, check_choice
from .base import WeightedAggregator

FORMS = ('light', 'released', 'paper')
POOL_SIZE = 16


@MODELS.register_module()
class FAU(WeightedAggregator):
    """Feature aggregation unit of OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092).

    Several convolutions with different kernel sizes process the trunk's shared feature ``x``.
    Their outputs are pooled over space, squeezed to ``mid_channels`` and expanded to one logit per
    branch and keypoint. The weights are a softmax over the branches. The number of kernels does
    not depend on the number of branches. There are three forms:

    - ``released``: the authors' code. Full convolutions at full resolution, summed,
      ``s = mean(sum_k ReLU(BN(conv_kxk(x))))``. They take 45 % of the authors' training compute,
      although only a pooled descriptor of them is used.
    - ``paper``: the paper's figure. Each convolution is followed by a 1x1 convolution, and the
      paths are concatenated instead of summed. One more path is average pooling of ``x`` and a
      1x1 convolution. The figure does not show norms. Here every convolution has a batch norm and
      a ReLU, except that of the pooling path. Without them, the linear layers would absorb the
      convolutions.
    - ``light`` (default): like released, but with depthwise convolutions. Feature maps larger than
      16x16 are first average-pooled to that size.

    Args:
        in_channels: Channels C of the shared feature.
        num_branches: M.
        num_keypoints: K.
        form: One of 'light', 'released' and 'paper'.
        kernel_sizes: Sizes of the parallel convolutions, odd.
        mid_channels: Width of the squeezed descriptor.

    Shape:
        forward: (B, C, H', W') -> (B, M, K), positive, sums to 1 over M.

    Raises:
        UserError: If the form is unknown, a kernel size is even, or ``kernel_sizes`` is empty.

    Source: written from the description of https://github.com/zhengli97/OKDHP
    (lib/models/hourglass_okd.py). Differences of 'released': one linear layer replaces those of
    the branches, and ``x`` is the last feature of the trunk instead of the stem's.
    """

    def __init__(
        self,
        in_channels: int,
        num_branches: int,
        num_keypoints: int,
        form: str = 'light',
        kernel_sizes: Sequence[int] = (3, 5, 7),
        mid_channels: int = 64,
        init_cfg=None,
    ):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        check_choice('FAU: form', form, FORMS)
        if not kernel_sizes or any(size % 2 == 0 for size in kernel_sizes):
            raise UserError(
                f'FAU: kernel_sizes={tuple(kernel_sizes)} must be odd numbers, e.g. (3, 5, 7).'
            )
        self.form = form
        self.paths = nn.ModuleList(self._path(in_channels, size) for size in kernel_sizes)
        width = in_channels
        if form == 'paper':
            self.average_path = nn.Conv2d(in_channels, in_channels, 1)
            width = in_channels * (len(self.paths) + 1)
        self.squeeze = nn.Linear(width, mid_channels)
        self.expand = nn.Linear(mid_channels, num_branches * num_keypoints)

    def _path(self, channels: int, size: int) -> nn.Sequential:
        groups = channels if self.form == 'light' else 1
        layers = convolution(channels, size, groups)
        if self.form == 'paper':
            layers += convolution(channels, 1)
        return nn.Sequential(*layers)

    def forward(self, shared_feat: Tensor) -> Tensor:
        """Compute the weights of the branches per keypoint, (B, C, H', W') -> (B, M, K)."""
        logits = self.expand(self.squeeze(self._descriptor(shared_feat)))
        logits = logits.unflatten(-1, (self.num_branches, self.num_keypoints))
        return torch.softmax(logits, dim=1)

    def _descriptor(self, x: Tensor) -> Tensor:
        """Pool the feature map to a descriptor, (B, C) or, in the paper's form, (B, nC)."""
        if self.form == 'light':
            x = shrink(x)
        seen = [path(x).mean((-2, -1)) for path in self.paths]
        if self.form == 'paper':
            average = self.average_path(x.mean((-2, -1), keepdim=True))
            return torch.cat([*seen, average.flatten(1)], 1)
        return sum(seen)


def shrink(x: Tensor) -> Tensor:
    """Average-pool a feature map to 16x16. An axis of at most 16 pixels keeps its size."""
    height, width = x.shape[-2:]
    size = (min(height, POOL_SIZE), min(width, POOL_SIZE))
    # Pooling to the same size changes nothing but would take a fifth of the unit's time.
    if size == (height, width):
        return x
    if height % size[0] or width % size[1]:
        return F.adaptive_avg_pool2d(x, size)
    # The result is the same, but on a GPU the gradient of adaptive pooling is not deterministic.
    return F.avg_pool2d(x, (height // size[0], width // size[1]))


def convolution(channels: int, size: int, groups: int = 1) -> list[nn.Module]:
    """Return convolution, batch norm and ReLU of equal width."""
    return [
        nn.Conv2d(channels, channels, size, padding=size // 2, groups=groups),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]
