"""State of a track between two frames."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PoseState:
    """Result for one frame of B tracks, from which the next frame's heatmaps are computed.

    Attributes:
        heatmaps: (B, K, H, W).
        features: Features of the frame encoder, (B, C, H, W).
    """

    heatmaps: Tensor
    features: Tensor

    def first(self, tracks: int) -> PoseState:
        """Return the state of the first tracks."""
        return PoseState(self.heatmaps[:tracks], self.features[:tracks])
