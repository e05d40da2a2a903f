"""Moves of images and of the maps that belong to them. Pure functions on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(maps: Tensor, linear: Tensor, offset: Tensor, padding: str = 'zeros') -> Tensor:
    """Move maps: the result has at x what the map has at ``linear @ x + offset``, in pixels.

    Args:
        maps: Maps or images, (B, C, H, W).
        linear: Matrices, (B, 2, 2).
        offset: Vectors, (B, 2).
        padding: Value outside of a map, 'zeros' or 'border'.

    Returns:
        Moved maps in float32, interpolated linearly.
    """
    height, width = maps.shape[-2:]
    x = torch.arange(width, device=maps.device, dtype=torch.float32)
    y = torch.arange(height, device=maps.device, dtype=torch.float32)
    # Outer sums: no matrix product, which autocast would compute in half precision.
    points = [
        row[:, 0, None, None] * x + row[:, 1, None, None] * y[:, None] + shift[:, None, None]
        for row, shift in zip(linear.unbind(1), offset.unbind(1), strict=True)
    ]
    # grid_sample counts from -1, the center of the first pixel, to 1, that of the last one.
    sizes = (width, height)
    grid = [2 * at / max(size - 1, 1) - 1 for at, size in zip(points, sizes, strict=True)]
    with torch.autocast(maps.device.type, enabled=False):
        return F.grid_sample(
            maps.float(), torch.stack(grid, -1), padding_mode=padding, align_corners=True
        )


def scaled(linear: Tensor, offset: Tensor, scale: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return a move of images for maps with pixels at multiples of ``scale`` in the image."""
    steps = [linear.new_full((), length) for length in scale]
    lengths = torch.stack(steps)
    return linear * lengths / lengths[:, None], offset / lengths


def inverse(linear: Tensor, points: Tensor) -> Tensor:
    """Solve ``linear @ x = points`` for x, (B, 2, 2) and (B, K, 2) -> (B, K, 2)."""
    # torch.linalg.inv would wait for the device, to ask for errors.
    (a, b), (c, d) = (row.unbind(1) for row in linear.unbind(1))
    x, y = points.unbind(-1)
    a, b, c, d = (entry[:, None] for entry in (a, b, c, d))
    return torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]


def refined(maps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Move peaks a quarter of a pixel toward the higher neighbor, like mmpose's decoders.

    Peaks at the border are not moved, because they have one neighbor only.

    Args:
        maps: (..., H, W).
        x: Columns of the peaks, (...).
        y: Their rows.
    """
    height, width = maps.shape[-2:]
    flat = maps.flatten(-2)

    def at(column: Tensor, row: Tensor) -> Tensor:
        index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        return flat.gather(-1, index[..., None]).squeeze(-1)

    along_x = (at(x + 1, y) - at(x - 1, y)).sign() * (x > 0) * (x < width - 1)
    along_y = (at(x, y + 1) - at(x, y - 1)).sign() * (y > 0) * (y < height - 1)
    return x + along_x / 4, y + along_y / 4


def flat_peaks(maps: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Find the highest pixel of every map, (..., H, W).

    Returns:
        Its x and y, (...) each, and its height, (...).
    """
    heights, places = maps.flatten(-2).max(-1)
    width = maps.shape[-1]
    return (places % width, places // width), heights
