"""Pose kernels: distill what the last frame knows of the pose, and find it in the next frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import normal_init
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError
from ...structures import sum_of
from .state import PoseState


@MODELS.register_module()
class PoseKernels(nn.Module):
    """Pose kernel distillator, and the localization by its kernels.

    Dynamic Kernel Distillation (DKD; Nie et al., ICCV 2019, https://arxiv.org/abs/1908.09216).
    One feed-forward pass turns the heatmaps h and features f of frame t - 1 into kernels k. The
    convolution of the next frame's features with them gives its heatmaps::

        k(t-1) = Phi([h(t-1); f(t-1)])                    (B, D, S, S)
        h(t)   = U BN(k(t-1) * V f(t))                    (B, K, H, W)

    ``*`` convolves each of the D channels with the kernel of its own track and channel. V (C to D)
    and U (D to K) are convolutions of size 1 that all tracks share, so that a kernel per keypoint
    and channel, K x C x S x S, need not be predicted.

    Public of the paper are this arrangement and that Phi is a small convolutional network on the
    concatenated cues. Our reading: the layers of Phi, the batch norm on the product, and that h is
    clamped to [0, 1] before Phi, without which errors of heatmaps grow from frame to frame. The
    convolution is written as products of shifted maps, because ONNX has no grouped convolution with
    the weights of each sample for a variable batch size.

    Args:
        in_channels: C; the estimator fills it in.
        num_keypoints: K; the estimator fills it in.
        channels: D.
        kernel_size: S, odd, in cells of the heatmap.

    Raises:
        UserError: If the kernel size is not odd.
    """

    needs_warp = False
    needs_features = True

    def __init__(
        self, in_channels: int, num_keypoints: int, channels: int = 32, kernel_size: int = 5
    ):
        super().__init__()
        if kernel_size % 2 == 0 or kernel_size < 1:
            raise UserError(f'PoseKernels: kernel_size={kernel_size} must be odd, e.g. 5.')
        self.kernel_size = kernel_size
        # Depthwise, because full convolutions would cost more than the network they replace.
        self.distill = nn.Sequential(
            *pointwise(in_channels + num_keypoints, channels),
            *depthwise(channels),
            *pointwise(channels, channels),
            *depthwise(channels),
            *pointwise(channels, channels),
        )
        self.kernels = nn.Conv2d(channels, channels, 1)
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, num_keypoints, 1)
        normal_init(self.expand, std=0.01)

    def forward(self, state: PoseState, features: Tensor, warp: Tensor | None = None) -> Tensor:
        """Return the heatmaps of the next frame, (B, K, H, W).

        Args:
            state: State after the last frame.
            features: Features of the next frame, (B, C, H, W).
            warp: Not used: kernels need not know how the crop moved.
        """
        found = localize(self.reduce(features), self.distilled(state))
        return self.expand(self.norm(found))

    def distilled(self, state: PoseState) -> Tensor:
        """Return the kernels of a frame, (B, D, S, S)."""
        cues = torch.cat((state.heatmaps.clamp(0, 1), state.features), 1)
        pooled = area_pool(self.distill(cues), self.kernel_size)
        return self.kernels(pooled)


def localize(features: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each track and channel with its own kernel, as cross-correlation with zero padding.

    Args:
        features: (B, D, H, W).
        kernels: (B, D, S, S).

    Returns:
        The mean of the S x S products, (B, D, H, W).
    """
    size = kernels.shape[-1]
    height, width = features.shape[-2:]
    padded = F.pad(features, [size // 2] * 4)
    # One product with the rows of all kernels, then a sum of S shifted maps. A sum of S x S shifted
    # products takes three times as long in onnxruntime.
    columns = torch.stack([padded[..., x : x + width] for x in range(size)], 2)
    rows = (kernels / size**2 @ columns.flatten(3)).unflatten(3, (-1, width))
    return sum_of([rows[:, :, y, y : y + height] for y in range(size)])


def area_pool(maps: Tensor, size: int) -> Tensor:
    """Average maps over size x size equal areas, (B, C, H, W) -> (B, C, size, size).

    Equals adaptive pooling if ``size`` divides H and W; ONNX has it for these sizes only.
    """
    rows, columns = (_areas(length, size).to(maps) for length in maps.shape[-2:])
    return rows @ maps @ columns.T


def _areas(length: int, size: int) -> Tensor:
    """Return the share of each of ``length`` cells in each of ``size`` areas, (size, length)."""
    edges = torch.arange(size + 1, dtype=torch.float64) * length / size
    cells = torch.arange(length, dtype=torch.float64)
    upper = torch.minimum(edges[1:, None], cells + 1)
    lower = torch.maximum(edges[:-1, None], cells)
    return (upper - lower).clamp(min=0) * size / length


def pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Return a convolution of size 1 with batch norm and ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def depthwise(channels: int) -> list[nn.Module]:
    """Return a depthwise convolution of size 3 and stride 2 with batch norm and ReLU."""
    convolution = nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
