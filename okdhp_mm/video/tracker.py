"""Give poses identities: an online tracker that needs numpy and scipy only.

This file may be copied to a machine without torch and mmpose, like ``deploy/onnx_pose.py``.
Letters: N poses of a frame, T tracks, K keypoints. Times are in seconds, lengths in body heights
(the longer side of the box around a pose's keypoints).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

REJECTED = -1
"""Identity of a pose that was rejected, or whose track is not confirmed yet."""
CHUNK = 4_000_000
"""Number of coordinates that are compared at once, so that a crowd fits into memory."""


@dataclass(frozen=True)
class TrackerSettings:
    """Settings of :class:`PoseTracker`.

    Attributes:
        sigmas: Uncertainty of each keypoint in body heights, (K,), as in the OKS of COCO; one
            number serves every keypoint of any skeleton.
        nms: Similarity from 0 to 1 above which two poses of a frame are the same person; the one
            with the lower score is rejected. 1 keeps both.
        min_similarity: Similarity below which a pose never continues a track.
        strong_score: Mean keypoint score above which a pose is matched first and may start a track.
        weak_score: Mean keypoint score below which a pose is rejected.
        memory: Seconds that a lost track is remembered.
        tolerance_growth: Growth of the uncertainty per second without a sighting; 0 for none.
        velocity_smoothing: Seconds over which a track's velocity is averaged; None for no velocity.
        max_extrapolation: Seconds that a lost track moves on.
        confirmations: Sightings that give a track its identity.
        tentative_memory: Seconds that a track without an identity is remembered.
    """

    sigmas: Sequence[float] | float = 0.08
    nms: float = 0.6
    min_similarity: float = 0.1
    strong_score: float = 0.3
    weak_score: float = 0.1
    memory: float = 1.5
    tolerance_growth: float = 3.0
    velocity_smoothing: float | None = 0.15
    max_extrapolation: float = 0.4
    confirmations: int = 2
    tentative_memory: float = 0.25


@dataclass
class Track:
    """State of one person.

    Attributes:
        keypoints: Last seen place of each keypoint, (K, 2); NaN where it was never seen.
        size: Body height in pixels, averaged over sightings.
        time: Time of the last sighting.
        identity: Given after enough sightings, None before.
        velocity: Velocity of the whole body, (2,), in pixels per second.
        sightings: Number of poses so far.
        unnamed: Identities of the frame, and index in it, of each pose that was seen before the
            identity was given; empty if the tracker keeps no history.
    """

    keypoints: np.ndarray
    size: float
    time: float
    identity: int | None = None
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    sightings: int = 1
    unnamed: list[tuple[np.ndarray, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Poses:
    """Poses of one frame.

    Attributes:
        keypoints: (N, K, 2); NaN where a keypoint was not found.
        scores: Mean score of the keypoints that were found, (N,).
        sizes: Body heights in pixels, (N,).
    """

    keypoints: np.ndarray
    scores: np.ndarray
    sizes: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Poses:
        return Poses(self.keypoints[index], self.scores[index], self.sizes[index])

    def __len__(self):
        return len(self.scores)


class Reader:
    """Check of the poses of each frame against those of earlier frames.

    Args:
        sigmas: See :class:`TrackerSettings`.
    """

    def __init__(self, sigmas: Sequence[float] | float):
        self.time = -np.inf
        self.num_keypoints: int | None = np.size(sigmas) if np.ndim(sigmas) else None

    def read(self, time_s, keypoints, scores, boxes=None) -> Poses:
        """Return the poses of the next frame; see :meth:`PoseTracker.update`.

        Raises:
            ValueError: If the time does not advance, or shapes do not agree with each other or with
                earlier frames.
        """
        if not np.isfinite(time_s) or time_s <= self.time:
            raise ValueError(
                f'time_s={time_s} must be later than that of the last frame, {self.time}.'
            )
        keypoints = np.array(keypoints, float)
        if keypoints.size == 0:
            keypoints = np.zeros((0, self.num_keypoints or 1, 2))
            scores = np.zeros(keypoints.shape[:2])
        scores = np.asarray(scores, float)
        if keypoints.ndim != 3 or keypoints.shape[2] != 2 or scores.shape != keypoints.shape[:2]:
            raise ValueError(
                f'keypoints of shape {keypoints.shape} and scores of shape {scores.shape} must be '
                '(N, K, 2) and (N, K).'
            )
        if len(keypoints):
            self.num_keypoints = self.num_keypoints or keypoints.shape[1]
            if keypoints.shape[1] != self.num_keypoints:
                raise ValueError(
                    f'Poses have {keypoints.shape[1]} keypoints, but earlier frames or the sigmas '
                    f'have {self.num_keypoints}.'
                )
        if boxes is None and keypoints.shape[1:2] == (1,) and len(keypoints):
            raise ValueError('Poses of one keypoint have no height. Give their boxes as well.')
        if boxes is not None and np.shape(boxes) != (len(keypoints), 4) and len(keypoints):
            raise ValueError(
                f'boxes of shape {np.shape(boxes)} must be ({len(keypoints)}, 4): x1, y1, x2, y2.'
            )
        found = np.isfinite(keypoints).all(-1) & np.isfinite(scores) & (scores > 0)
        keypoints[~found] = np.nan
        self.time = time_s
        weights = np.where(found, scores, 0)
        mean = weights.sum(1) / np.maximum(found.sum(1), 1)
        return Poses(keypoints, mean, body_heights(keypoints, boxes))


class PoseTracker:
    """Online tracker of poses of any skeleton.

    A frame's poses are cleaned of duplicates and assigned to the tracks by the Hungarian method
    (the confident ones first), on an OKS-like similarity to where each track should be by now. The
    tolerance grows with the time since the last sighting. Lost tracks are remembered. A track gets
    its identity with the second sighting, so single false detections never get one.

    The result depends on neither the order of a frame's poses nor the scale of the coordinates.

    Args:
        history: Keep the identities of every frame for :meth:`finish`, about 150 bytes a frame.
            Without it the memory does not grow with the length of the video.
        settings: See :class:`TrackerSettings`.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(self, history: bool = False, **settings):
        self.settings = TrackerSettings(**settings)
        check_settings(self.settings)
        self.history = history
        self._tracks: list[Track] = []
        self._named: list[np.ndarray] = []
        self._reader = Reader(self.settings.sigmas)
        self._previous: float | None = None
        self._next = 0

    def update(
        self,
        time_s: float,
        keypoints: np.ndarray,
        scores: np.ndarray,
        boxes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Give the poses of the next frame identities.

        Args:
            time_s: Time of the frame in seconds, later than the last one.
            keypoints: (N, K, 2) in pixels.
            scores: (N, K); a keypoint counts as not found if its score is 0 or a coordinate is not
                finite.
            boxes: (N, 4) x1, y1, x2, y2, to measure body heights; by default those around the
                keypoints. Required for a skeleton of one keypoint.

        Returns:
            Identities, (N,), counted from 0; -1 where a pose was rejected (weak, a duplicate or
            without a height) or its track awaits confirmation.

        Raises:
            ValueError: If the time does not advance, or shapes do not agree with each other or with
                earlier frames.
        """
        self._previous = self._reader.time
        poses = self._reader.read(time_s, keypoints, scores, boxes)
        self._forget()
        ids = np.full(len(poses), REJECTED)
        if self.history:
            self._named.append(ids)
        kept = self._clean(poses)
        strong = poses.scores >= self.settings.strong_score
        for candidates, tracks in (
            (kept & strong, [t for t in self._tracks if t.identity is not None]),
            (kept & ~strong, [t for t in self._tracks if t.identity is not None]),
            (kept & strong, [t for t in self._tracks if t.identity is None]),
        ):
            tracks = [t for t in tracks if t.time < time_s]
            index = np.flatnonzero(candidates & kept)
            for track, pose in self._assign(tracks, poses, index):
                self._continue(tracks[track], poses, pose, ids)
                kept[pose] = False
        for pose in sorted(np.flatnonzero(kept & strong), key=lambda n: sort_key(poses, n)):
            self._start(poses, pose, ids)
        return ids.copy()

    def finish(self) -> list[np.ndarray]:
        """Return the identities of every update so far, named afterwards.

        The first sighting of a person, which :meth:`update` could not name yet, has its identity
        here.

        Raises:
            ValueError: If the tracker keeps no history.
        """
        if not self.history:
            raise ValueError('The tracker kept no history. Build it with history=True.')
        return [ids.copy() for ids in self._named]

    def _forget(self) -> None:
        """Drop tracks that were lost for too long."""
        memory = {True: self.settings.memory, False: self.settings.tentative_memory}
        self._tracks = [
            track
            for track in self._tracks
            # However slow the video is, the next frame may confirm a track.
            if track.time == self._previous
            or self._reader.time - track.time <= memory[track.identity is not None]
        ]

    def _clean(self, poses: Poses) -> np.ndarray:
        """Return which poses are neither too weak nor duplicates of a better one, (N,) bool."""
        kept = (poses.scores >= self.settings.weak_score) & (poses.sizes > 0)
        alike = similarity(poses.keypoints, poses.sizes, poses, self.settings.sigmas)
        best_first = sorted(np.flatnonzero(kept), key=lambda n: sort_key(poses, n))
        for n in best_first:
            if kept[n]:
                duplicates = kept & (alike[n] > self.settings.nms)
                duplicates[n] = False
                kept &= ~duplicates
        return kept

    def _assign(
        self, tracks: list[Track], poses: Poses, index: np.ndarray
    ) -> list[tuple[int, int]]:
        """Pair tracks with those poses; return (track, pose) of every pair above the minimum."""
        if not tracks or not len(index):
            return []
        elapsed = self._reader.time - np.array([track.time for track in tracks])
        reach = np.minimum(elapsed, self.settings.max_extrapolation)
        predicted = np.stack(
            [t.keypoints + s * t.velocity for t, s in zip(tracks, reach, strict=True)]
        )
        sizes = np.array([track.size for track in tracks])
        growth = 1 + self.settings.tolerance_growth * elapsed
        alike = similarity(predicted, sizes, poses[index], self.settings.sigmas, growth)
        alike[alike < self.settings.min_similarity] = 0
        rows, columns = linear_sum_assignment(alike, maximize=True)
        return [
            (row, index[column])
            for row, column in zip(rows, columns, strict=True)
            if alike[row, column] > 0
        ]

    def _continue(self, track: Track, poses: Poses, pose: int, ids: np.ndarray) -> None:
        """Add a pose to a track."""
        keypoints = poses.keypoints[pose]
        elapsed = self._reader.time - track.time
        moved = keypoints - track.keypoints
        common = np.isfinite(moved).all(-1)
        if common.any() and self.settings.velocity_smoothing:
            measured = np.median(moved[common], axis=0) / elapsed
            share = 1 - np.exp(-elapsed / self.settings.velocity_smoothing)
            track.velocity = track.velocity + share * (measured - track.velocity)
            # Hidden keypoints move along with the rest of the body.
            track.keypoints = track.keypoints + np.median(moved[common], axis=0)
        found = np.isfinite(keypoints).all(-1)
        track.keypoints = np.where(found[:, None], keypoints, track.keypoints)
        track.size += 0.2 * (poses.sizes[pose] - track.size)
        track.time = self._reader.time
        track.sightings += 1
        self._name(track, pose, ids)

    def _start(self, poses: Poses, pose: int, ids: np.ndarray) -> None:
        track = Track(poses.keypoints[pose].copy(), float(poses.sizes[pose]), self._reader.time)
        self._tracks.append(track)
        self._name(track, pose, ids)

    def _name(self, track: Track, pose: int, ids: np.ndarray) -> None:
        """Give the pose the track's identity, if the track was seen often enough for one."""
        if track.sightings < self.settings.confirmations:
            if self.history:
                track.unnamed.append((ids, pose))
            return
        if track.identity is None:
            track.identity = self._next
            self._next += 1
        for earlier, index in (*track.unnamed, (ids, pose)):
            earlier[index] = track.identity
        track.unnamed.clear()


def similarity(
    keypoints: np.ndarray,
    sizes: np.ndarray,
    poses: Poses,
    sigmas: Sequence[float] | float,
    growth: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Return the object keypoint similarity (OKS) of T expected with N found poses, (T, N).

    ``mean_k exp(-d_k^2 / (2 (2 sigma_k g s)^2))`` over the keypoints that both have, ``s`` the
    larger body height of the two and ``g`` the growth; 0 where they have none in common. COCO's OKS
    takes the root of the area of the person for ``s``.

    Args:
        keypoints: (T, K, 2).
        sizes: (T,).
        poses: N poses.
        sigmas: (K,), or one for all.
        growth: Factor of the tolerance of each expected pose, (T,).
    """
    if keypoints.size * len(poses) > CHUNK and len(keypoints) > 1:
        growth = np.broadcast_to(growth, len(keypoints))
        halves = (slice(0, len(keypoints) // 2), slice(len(keypoints) // 2, None))
        parts = [similarity(keypoints[h], sizes[h], poses, sigmas, growth[h]) for h in halves]
        return np.concatenate(parts)
    with np.errstate(over='ignore'):  # infinitely far apart
        distance = ((keypoints[:, None] - poses.keypoints[None]) ** 2).sum(-1)
    size = np.maximum(sizes[:, None], poses.sizes[None])
    tolerance = 2 * np.asarray(sigmas, float) * (size * np.reshape(growth, (-1, 1)))[..., None]
    common = np.isfinite(distance)
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        close = np.where(common, np.exp(-distance / (2 * tolerance**2)), 0)
    return close.sum(-1) / np.maximum(common.sum(-1), 1)


def body_heights(keypoints: np.ndarray, boxes: np.ndarray | None = None) -> np.ndarray:
    """Return the longer sides of the boxes, or of those around the keypoints, (N,); 0 for none."""
    if boxes is not None and len(keypoints):
        boxes = np.asarray(boxes, float)
        sides = np.where(np.isfinite(boxes).all(1), (boxes[:, 2:] - boxes[:, :2]).T, 0)
        return sides.max(0).clip(min=0)
    missing = np.isnan(keypoints)
    low = np.where(missing, np.inf, keypoints).min(1, initial=np.inf)
    high = np.where(missing, -np.inf, keypoints).max(1, initial=-np.inf)
    extent = (high - low).max(-1, initial=-np.inf)
    return np.where(np.isfinite(extent), extent, 0)


def corners(boxes: np.ndarray) -> np.ndarray:
    """Return boxes x1, y1, x2, y2 as poses of two keypoints, (N, 2, 2), to track boxes alone."""
    return np.reshape(np.asarray(boxes, float), (-1, 2, 2))


def sort_key(poses: Poses, n: int) -> tuple:
    """Return what orders poses, the best first, whatever their order in the frame."""
    return -poses.scores[n], *np.nan_to_num(poses.keypoints[n]).ravel()


def check_settings(settings: TrackerSettings) -> None:
    """Check the settings of a tracker.

    Raises:
        ValueError: If one is out of range.
    """
    if not np.all(np.asarray(settings.sigmas, float) > 0):
        raise ValueError(f'sigmas={settings.sigmas} must be positive.')
    for name in ('nms', 'min_similarity', 'strong_score', 'weak_score'):
        value = getattr(settings, name)
        if not 0 <= value <= 1:
            raise ValueError(f'{name}={value} must be from 0 to 1.')
    if settings.confirmations < 1:
        raise ValueError(f'confirmations={settings.confirmations} must be at least 1.')
    for name in (
        'memory',
        'tolerance_growth',
        'velocity_smoothing',
        'max_extrapolation',
        'tentative_memory',
    ):
        value = getattr(settings, name)
        if value is not None and not value >= 0:
            raise ValueError(f'{name}={value} must not be negative.')
