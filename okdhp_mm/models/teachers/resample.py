"""Resize the maps of a teacher to those of a student."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.codecs import UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor

from ...structures import distributions


def uses_udp(codec: BaseKeypointCodec) -> bool:
    """Return whether the corner pixels of input and heatmap have the same centers."""
    return isinstance(codec, UDPHeatmap)


def resample(
    maps: Tensor,
    size: tuple[int, int],
    bins: tuple[int, ...],
    new_bins: tuple[int, ...],
    aligned: bool,
) -> Tensor:
    """Resize maps, (B, K, H, W) -> (B, K, *size).

    Args:
        maps: Maps of the teacher.
        size: (H, W) of the result.
        bins: Lengths along W of the distributions in a map; () if the whole map is one.
        new_bins: The same of the result.
        aligned: Whether the centers of the corner pixels stay at the corners, as in UDP. Without
            it, coordinates are multiplied by the ratio of the sizes, as other codecs do.

    Returns:
        The maps themselves if they have this size.
    """
    if maps.shape[-2:] == size and bins == new_bins:
        return maps
    if bins:
        parts = zip(distributions(maps, bins), new_bins, strict=True)
        return torch.cat([resample(own, (1, length), (), (), False) for own, length in parts], -1)
    axes = [
        positions(old, new, aligned, maps.device)
        for old, new in zip(maps.shape[-2:], size, strict=True)
    ]
    rows, columns = torch.meshgrid(*axes, indexing='ij')
    grid = torch.stack((columns, rows), -1).expand(len(maps), -1, -1, -1)
    return F.grid_sample(maps.float(), grid, padding_mode='border', align_corners=True)


def positions(old: int, new: int, aligned: bool, device: torch.device) -> Tensor:
    """Return where the pixels of an axis are read, from -1 (first pixel) to 1 (last), (new,)."""
    last = max(old - 1, 1)
    ratio = last / max(new - 1, 1) if aligned else old / new
    return torch.arange(new, device=device) * (2 * ratio / last) - 1
