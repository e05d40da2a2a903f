"""The rule of the released PoseFlow code, without its matching of image points.

The authors' code assigns poses to tracks by the Hungarian method and builds no flows; its
maintainers call it bipartite matching. We wrote it anew for comparison: similarity of boxes and of
poses to the last sighting of each track, at equal weights. It has neither duplicate removal nor
confirmation nor motion, and its memory is a number of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from .tracker import REJECTED, Poses, Reader, similarity


@dataclass(frozen=True)
class PoseFlowReleasedSettings:
    """Settings of :class:`PoseFlowReleased`.

    Attributes:
        sigmas: Uncertainty of each keypoint in body heights, (K,), or one for all.
        memory_frames: Frames that a lost track is remembered.
        min_similarity: Mean of the similarities of boxes and of poses that continues a track.
    """

    sigmas: Sequence[float] | float = 0.08
    memory_frames: int = 100
    min_similarity: float = 0.2


class PoseFlowReleased:
    """Tracker of poses that assigns each frame's poses to the last sightings of the tracks.

    Args:
        history: Keep the identities of every frame for :meth:`finish`.
        settings: See :class:`PoseFlowReleasedSettings`.
    """

    def __init__(self, history: bool = False, **settings):
        self.settings = PoseFlowReleasedSettings(**settings)
        self.history = history
        self._reader = Reader(self.settings.sigmas)
        self._named: list[np.ndarray] = []
        self._tracks: dict[int, tuple[int, Poses]] = {}
        self._frame = 0
        self._next = 0

    def update(self, time_s, keypoints, scores, boxes=None) -> np.ndarray:
        """Give the poses of the next frame identities; see :meth:`PoseTracker.update`."""
        poses = self._reader.read(time_s, keypoints, scores, boxes)
        self._frame += 1
        oldest = self._frame - self.settings.memory_frames
        self._tracks = {i: track for i, track in self._tracks.items() if track[0] >= oldest}
        ids = np.full(len(poses), REJECTED)
        known = list(self._tracks)
        alike = np.zeros((len(known), len(poses)))
        for row, identity in enumerate(known):
            alike[row] = self._similarity(self._tracks[identity][1], poses)
        for row, pose in zip(*linear_sum_assignment(alike, maximize=True), strict=True):
            if alike[row, pose] >= self.settings.min_similarity:
                ids[pose] = known[row]
        for pose in np.flatnonzero((ids == REJECTED) & (poses.sizes > 0)):
            ids[pose], self._next = self._next, self._next + 1
        for pose in np.flatnonzero(ids != REJECTED):
            self._tracks[int(ids[pose])] = (self._frame, poses[np.array([pose])])
        if self.history:
            self._named.append(ids)
        return ids.copy()

    def finish(self) -> list[np.ndarray]:
        """Return the identities of every update so far.

        Raises:
            ValueError: If the tracker keeps no history.
        """
        if not self.history:
            raise ValueError('The tracker kept no history. Build it with history=True.')
        return [ids.copy() for ids in self._named]

    def _similarity(self, last: Poses, poses: Poses) -> np.ndarray:
        by_pose = similarity(last.keypoints, last.sizes, poses, self.settings.sigmas)[0]
        return (by_pose + overlaps(extents(last.keypoints), extents(poses.keypoints))[0]) / 2


def extents(keypoints: np.ndarray) -> np.ndarray:
    """Return the boxes around the keypoints that were found, (N, 4) x1, y1, x2, y2."""
    missing = np.isnan(keypoints)
    low = np.where(missing, np.inf, keypoints).min(1)
    high = np.where(missing, -np.inf, keypoints).max(1)
    return np.concatenate([low, high], axis=1)


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersections over unions of boxes, (N, M); 0 for boxes without an area."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(-1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
