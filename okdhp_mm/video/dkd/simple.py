"""Simple ways to use the last frame. DKD has to be better than these to be worth its cost."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from .state import PoseState


@MODELS.register_module()
class PreviousHeatmaps(nn.Module):
    """Control of DKD: the last frame's heatmaps are extra channels of the next frame's features.

    The heatmaps are moved to where the new crop shows the same place. It uses past poses with two
    convolutions and without kernels.

    Args:
        in_channels: C; the estimator fills it in.
        num_keypoints: K; the estimator fills it in.
        channels: Channels between the two convolutions.
    """

    needs_warp = True
    needs_features = True

    def __init__(self, in_channels: int, num_keypoints: int, channels: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels + num_keypoints, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, num_keypoints, 1),
        )

    def forward(self, state: PoseState, features: Tensor, warp: Tensor | None = None) -> Tensor:
        """Return the heatmaps of the next frame, (B, K, H, W).

        Args:
            state: State after the last frame.
            features: Features of the next frame, (B, C, H, W).
            warp: See :func:`move`.
        """
        last = move(state.heatmaps.clamp(0, 1), warp)
        return self.layers(torch.cat((last, features), 1))


@MODELS.register_module()
class LastHeatmaps(nn.Module):
    """Control of DKD: the pose stays where it was in the image. Nothing is learned.

    With ``reinitialize_every=N`` the initializer runs on every N-th frame, and its pose is repeated
    in between.

    Args:
        in_channels: Not used.
        num_keypoints: Not used.
    """

    needs_warp = True
    needs_features = False

    def __init__(self, in_channels: int = 0, num_keypoints: int = 0):
        super().__init__()

    def forward(self, state: PoseState, features: Tensor, warp: Tensor | None = None) -> Tensor:
        """Return the last frame's heatmaps, moved to the new crop, (B, K, H, W)."""
        return move(state.heatmaps, warp)


def move(heatmaps: Tensor, warp: Tensor | None) -> Tensor:
    """Resample heatmaps of the last crop for the next crop.

    Args:
        heatmaps: (B, K, H, W).
        warp: Where the places of the next crop were in the last one, as the ``theta`` of
            ``affine_grid``, (B, 2, 3); None if the crops are equal.
    """
    if warp is None:
        return heatmaps
    grid = F.affine_grid(warp.to(heatmaps), list(heatmaps.shape), align_corners=False)
    return F.grid_sample(heatmaps, grid, align_corners=False)
