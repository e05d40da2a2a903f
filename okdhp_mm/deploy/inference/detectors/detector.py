"""The interface of detectors, and the steps that they share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

THRESHOLD = 0.3
"""Least score of a person."""
OVERLAP = 0.45
"""Two boxes that share more (intersection over union) are one person."""


class Detector(Protocol):
    """A network that finds the persons in an image."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find the persons in an image.

        Args:
            image: (H, W, 3) uint8, BGR.

        Returns:
            x1 y1 x2 y2 and score of each person, (N, 5).
        """


def inside(boxes: np.ndarray, scores: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the part of boxes inside an image with their scores, (N, 5), best first."""
    height, width = image.shape[:2]
    clipped = np.clip(boxes.reshape(-1, 4), 0, [width, height, width, height])
    kept = (clipped[:, :2] + 1 <= clipped[:, 2:]).all(axis=1) & np.isfinite(scores)
    found = np.column_stack([clipped, scores])[kept]
    return found[np.argsort(-found[:, 4], kind='stable')].astype(np.float32)
