"""Decode maps in the graph itself: mmpose's decoders in operators that ONNX has.

The stock decoders are numpy, one person after the other, and cannot be traced. Keypoints come out
in pixels of the input image, where nothing is seen (no score above 0) at the stock decoders' -1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from torch import Tensor, nn

from ...errors import UserError
from ...registry import GRAPH_DECODERS, find_match

EPSILON = float(np.finfo(np.float32).eps)


class HeatmapDecoder(nn.Module):
    """Heatmaps, (B, K, H, W) -> keypoints (B, K, 2) and scores (B, K).

    Args:
        width: Width of the heatmaps.
        scale: Pixels of the input image per cell of the heatmaps, for x and y.
        refinement: Heatmaps and the peak's x and y, (B, K) -> how far to move each, (B, K, 2).
    """

    scale: Tensor

    def __init__(
        self,
        width: int,
        scale: np.ndarray,
        refinement: Callable[[Tensor, Tensor, Tensor], Tensor],
    ):
        super().__init__()
        self.width = width
        self.refinement = refinement
        self.register_buffer('scale', torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Decode."""
        scores, index = maps.flatten(2).max(-1)
        x, y = index % self.width, index // self.width
        moved = torch.stack((x, y), -1) + self.refinement(maps, x, y).float()
        return _where_seen(moved, scores) * self.scale, scores


@GRAPH_DECODERS.register_module()
class SimCCDecoder(nn.Module):
    """SimCC vectors, (B, K, Lx) and (B, K, Ly) -> keypoints (B, K, 2) and scores (B, K).

    Args:
        codec: The codec.
    """

    def __init__(self, codec: SimCCLabel):
        super().__init__()
        self.split = codec.simcc_split_ratio

    @classmethod
    def matches(cls, codec: Any) -> bool:
        """Return whether the codec decodes in this way."""
        return isinstance(codec, SimCCLabel) and not codec.use_dark

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Decode."""
        peaks, bins = zip(x.max(-1), y.max(-1), strict=True)
        scores = torch.minimum(*peaks)
        return _where_seen(torch.stack(bins, -1).float(), scores) / self.split, scores


def quarter_pixel(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return a quarter of a cell towards the higher neighbor."""
    height, width = maps.shape[-2:]
    peak = _Neighbors(maps, x, y)
    inside = (x > 0) & (y > 0)
    dx = torch.sign(peak(1, 0) - peak(-1, 0)) * ((x > 1) & (x < width - 1) & inside)
    dy = torch.sign(peak(0, 1) - peak(0, -1)) * ((y > 1) & (y < height - 1) & inside)
    return 0.25 * torch.stack((dx, dy), -1)


class Dark(nn.Module):
    """The peak of the parabola through the logarithm of the blurred heatmap (DARK).

    Args:
        kernel: Size of the blur.
    """

    def __init__(self, kernel: int):
        super().__init__()
        self.blur = _Blur(kernel)

    def forward(self, maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the offset."""
        height, width = maps.shape[-2:]
        peak = _Neighbors(self.blur(maps).clamp(min=1e-10).log(), x, y)
        here = 2 * peak(0, 0)
        dxx = 0.25 * (peak(2, 0) - here + peak(-2, 0))
        dyy = 0.25 * (peak(0, 2) - here + peak(0, -2))
        dxy = 0.25 * (peak(1, 1) - peak(1, -1) - peak(-1, 1) + peak(-1, -1))
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
        # A parabola without a peak: any other determinant will do, because it is not used.
        usable = inside & (dxx * dyy - dxy * dxy != 0)
        flat = (~usable).to(dxx)
        return _top(peak, dxx + flat, dxy * usable, dyy + flat) * usable.unsqueeze(-1)


class UnbiasedDark(Dark):
    """The same as UDP does it: from the nearest neighbors, at the border too."""

    def forward(self, maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the offset."""
        peak = _Neighbors(self.blur(maps).clamp(1e-3, 50.0).log(), x, y)
        here = 2 * peak(0, 0)
        dxx = peak(1, 0) - here + peak(-1, 0) + EPSILON
        dyy = peak(0, 1) - here + peak(0, -1) + EPSILON
        sides = peak(1, 0) + peak(-1, 0) + peak(0, 1) + peak(0, -1)
        dxy = 0.5 * (peak(1, 1) + peak(-1, -1) + here - sides)
        return _top(peak, dxx, dxy, dyy)


@GRAPH_DECODERS.register_module()
class MSRADecoder(HeatmapDecoder):
    """Decoder of MSRAHeatmap, with its quarter pixel or with DARK."""

    def __init__(self, codec: MSRAHeatmap):
        refinement = Dark(codec.blur_kernel_size) if codec.unbiased else quarter_pixel
        super().__init__(codec.heatmap_size[0], codec.scale_factor, refinement)

    @classmethod
    def matches(cls, codec: Any) -> bool:
        """Return whether the codec decodes in this way."""
        return isinstance(codec, MSRAHeatmap)


@GRAPH_DECODERS.register_module()
class UDPDecoder(HeatmapDecoder):
    """Decoder of UDPHeatmap without offsets."""

    def __init__(self, codec: UDPHeatmap):
        scale = np.array(codec.input_size) / (np.array(codec.heatmap_size) - 1)
        super().__init__(codec.heatmap_size[0], scale, UnbiasedDark(codec.blur_kernel_size))

    @classmethod
    def matches(cls, codec: Any) -> bool:
        """Return whether the codec decodes in this way."""
        return isinstance(codec, UDPHeatmap) and codec.heatmap_type == 'gaussian'


def graph_decoder(codec: Any) -> nn.Module:
    """Return a module that decodes in the graph as the codec does in numpy.

    Raises:
        UserError: If no graph decoder handles the codec.
    """
    decoder = find_match(GRAPH_DECODERS, codec)
    if decoder is None:
        raise UserError(
            f'The codec {type(codec).__name__} with these settings cannot be decoded in the graph. '
            "MSRAHeatmap, UDPHeatmap with heatmap_type='gaussian' and SimCCLabel without use_dark "
            'can. Leave --decode out and decode the maps outside, or register a graph decoder '
            '(docs/extending.md).'
        )
    return decoder(codec)


class _Neighbors:
    """Values around a peak, in double precision; beyond the border those of the border."""

    def __init__(self, maps: Tensor, x: Tensor, y: Tensor):
        self.flat, (self.height, self.width) = maps.flatten(2), maps.shape[-2:]
        self.x, self.y = x, y

    def __call__(self, right: int, down: int) -> Tensor:
        x = (self.x + right).clamp(0, self.width - 1)
        y = (self.y + down).clamp(0, self.height - 1)
        return self.flat.gather(-1, (y * self.width + x).unsqueeze(-1)).squeeze(-1).double()


class _Blur(nn.Module):
    """OpenCV's Gaussian blur with zeros beyond the border, and each map as high as before."""

    column: Tensor
    row: Tensor

    def __init__(self, kernel: int):
        super().__init__()
        gauss = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)).float()
        self.register_buffer('column', gauss.reshape(1, 1, -1, 1))
        self.register_buffer('row', gauss.reshape(1, 1, 1, -1))
        self.border = kernel // 2

    def forward(self, maps: Tensor) -> Tensor:
        single = maps.flatten(0, 1).unsqueeze(1)
        blurred = F.conv2d(single, self.column, padding=(self.border, 0))
        blurred = F.conv2d(blurred, self.row, padding=(0, self.border)).reshape(maps.shape)
        height = maps.amax((-2, -1), keepdim=True) / blurred.amax((-2, -1), keepdim=True)
        return blurred * height


def _top(peak: _Neighbors, dxx: Tensor, dxy: Tensor, dyy: Tensor) -> Tensor:
    """Return the offset from the peak to where the gradient of the parabola vanishes."""
    dx, dy = 0.5 * (peak(1, 0) - peak(-1, 0)), 0.5 * (peak(0, 1) - peak(0, -1))
    determinant = (dxx * dyy - dxy * dxy).unsqueeze(-1)
    return torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1) / determinant


def _where_seen(points: Tensor, scores: Tensor) -> Tensor:
    return torch.where((scores > 0).unsqueeze(-1), points, -torch.ones_like(points))
