"""Distances between heatmaps read as distributions over pixels. Pure functions, no state."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def spatial_log_softmax(heatmaps: Tensor, scale: float = 1.0) -> Tensor:
    """Log-probability of every pixel of every keypoint, (..., H, W) -> (..., H*W), float32.

    A softmax over thousands of pixels has entries near 1e-4, which half precision cannot
    tell apart; hence float32, whatever autocast says.
    """
    return F.log_softmax(heatmaps.flatten(-2).float() * scale, dim=-1)


def spatial_kl(output: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
    """``KL(softmax(scale * target) || softmax(scale * output))`` over the pixels of a map.

    Args:
        output: Student heatmaps, (..., B, K, H, W).
        target: Teacher heatmaps, (B, K, H, W), broadcast over the leading axes.
        scale: Inverse temperature of both softmaxes.

    Returns:
        Divergence per map in nats, (..., B, K).
    """
    log_output = spatial_log_softmax(output, scale)
    log_target = spatial_log_softmax(target, scale)
    # Written so that every pass over the maps of all branches counts: the teacher's exponential is
    # taken once for all, and no sign is flipped map by map.
    return -torch.linalg.vecdot(log_output - log_target, log_target.exp())
