"""Distances between heatmaps that are read as distributions over pixels. Pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def spatial_log_softmax(heatmaps: Tensor, scale: float = 1.0) -> Tensor:
    """Compute the log-probability of every pixel, (..., H, W) -> (..., H*W), in float32.

    A softmax over thousands of pixels has entries near 1e-4. Half precision cannot distinguish
    them, so the result is float32 even under autocast.
    """
    return F.log_softmax(heatmaps.flatten(-2).float() * scale, dim=-1)


def spatial_kl(output: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
    """Compute ``KL(softmax(scale * target) || softmax(scale * output))`` over the pixels.

    Args:
        output: Student heatmaps, (..., B, K, H, W).
        target: Teacher heatmaps, (B, K, H, W), broadcast over the leading axes.
        scale: Inverse temperature of both softmaxes.

    Returns:
        Divergence per map in nats, (..., B, K).
    """
    log_output = spatial_log_softmax(output, scale)
    log_target = spatial_log_softmax(target, scale)
    # This order saves passes over the maps of all branches: the teacher's exponential is computed
    # once, and the sign is changed after the sum.
    return -torch.linalg.vecdot(log_output - log_target, log_target.exp())
