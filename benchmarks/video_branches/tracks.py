"""Predictions of all branches on a track, and their accuracy.

Letters: T frames, O outputs (the branches, then the ensemble), K keypoints, P pairs of branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmpose.evaluation.functional import keypoint_pck_accuracy

LARGE, SMALL, PEER, ENSEMBLE = range(4)
OUTPUTS = ('branch0', 'branch1', 'branch2', 'ensemble')
THRESHOLD = 0.1


@dataclass(frozen=True)
class Track:
    """One animal in consecutive frames.

    Attributes:
        poses: Of all outputs in pixels of the video, (T, O, K, 2).
        maxima: Of their heatmaps, (T, O, K).
        divergence: Between the heatmaps of each pair of branches, (T, P, K).
        true: Labels, (T, K, 2).
        seen: Whether a keypoint is labeled, (T, K).
        size: The longer side of the box, (T,).
        disagreement: Of the small student with the ensemble, as the small student predicts it,
            (T, K).
        error: Of the small student, as an output that learned it from labels predicts it, (T, K).
    """

    poses: np.ndarray
    maxima: np.ndarray
    divergence: np.ndarray
    true: np.ndarray
    seen: np.ndarray
    size: np.ndarray
    disagreement: np.ndarray
    error: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    def distance(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the distance between two poses of each frame in box sizes, (T, K)."""
        return np.linalg.norm(one - other, axis=-1) / self.size[:, None]

    def errors(self, output: int) -> np.ndarray:
        """Return the distance of an output from the labels in box sizes, (T, K)."""
        return self.distance(self.poses[:, output], self.true)


def pck(tracks: Sequence[Track], poses: Sequence[np.ndarray]) -> float:
    """Return PCK@0.1 of poses, (T, K, 2) for each track, in percent."""
    true, seen = (np.concatenate([getattr(t, name) for t in tracks]) for name in ('true', 'seen'))
    sizes = np.concatenate([track.size for track in tracks])
    sizes = np.repeat(sizes[:, None], 2, axis=1)
    return 100 * keypoint_pck_accuracy(np.concatenate(poses), true, seen, THRESHOLD, sizes)[1]
