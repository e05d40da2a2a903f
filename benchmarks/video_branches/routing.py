"""Rules for a large student on some frames and a small one in between.

A rule scores a frame before the large branch has run, and calls it above a threshold. The first
frame of a track is always a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .tracks import LARGE, PEER, SMALL, Track

Rule = Callable[[Track, int, int], float]


def low_maximum(track: Track, frame: int, last: int) -> float:
    """Return how low the maxima of the small student's heatmaps are."""
    return -track.maxima[frame, SMALL].mean()


def small_disagree(track: Track, frame: int, last: int) -> float:
    """Return the distance between the poses of both small students."""
    return _distance(track, frame, track.poses[frame, SMALL], track.poses[frame, PEER])


def distilled(track: Track, frame: int, last: int) -> float:
    """Return the distance from the ensemble that the small student predicts."""
    return track.disagreement[frame].mean()


def moved(track: Track, frame: int, last: int) -> float:
    """Return how far the small student's pose has moved since the last call."""
    return _distance(track, frame, track.poses[frame, SMALL], track.poses[last, SMALL])


def left_large(track: Track, frame: int, last: int) -> float:
    """Return the distance of the small student's pose from the large one's of the last call."""
    return _distance(track, frame, track.poses[frame, SMALL], track.poses[last, LARGE])


def _distance(track: Track, frame: int, one: np.ndarray, other: np.ndarray) -> float:
    return np.linalg.norm(one - other, axis=-1).mean() / track.size[frame]


RULES: dict[str, Rule] = dict(
    low_maximum=low_maximum,
    small_disagree=small_disagree,
    distilled=distilled,
    moved=moved,
    left_large=left_large,
)


def calls(track: Track, rule: Rule, threshold: float) -> np.ndarray:
    """Return the frames that the large student is called on, (T,) bool."""
    called, last = np.zeros(len(track), bool), 0
    for frame in range(len(track)):
        if frame == 0 or rule(track, frame, last) > threshold:
            called[frame], last = True, frame
    return called


def threshold_for(tracks: Sequence[Track], rule: Rule, share: float) -> float:
    """Return the threshold at which a rule calls the large student on a share of the frames."""
    scores = [rule(track, t, s) for track in tracks for t in range(len(track)) for s in (0, t)]
    low, high = min(scores) - 1e-6, max(scores)
    for _ in range(30):
        middle = (low + high) / 2
        found = np.concatenate([calls(track, rule, middle) for track in tracks]).mean()
        low, high = (middle, high) if found > share else (low, middle)
    return high


def even_calls(lengths: Sequence[int], total: int) -> list[np.ndarray]:
    """Return `total` calls at equal distances, spread over tracks of these lengths."""
    ends = np.round(np.cumsum([0, *lengths]) * total / sum(lengths)).astype(int)
    found = []
    for length, count in zip(lengths, np.diff(ends), strict=True):
        called = np.zeros(length, bool)
        called[np.arange(max(count, 1)) * length // max(count, 1)] = True
        found.append(called)
    return found


def random_calls(lengths: Sequence[int], total: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return `total` calls at random frames; the first frame of each track is one."""
    starts = np.cumsum([0, *lengths])
    called = np.zeros(starts[-1], bool)
    called[starts[:-1]] = True
    others = np.flatnonzero(~called)
    called[rng.choice(others, max(total - len(lengths), 0), replace=False)] = True
    return np.split(called, starts[1:-1])


def in_between(track: Track, called: np.ndarray, kind: str) -> np.ndarray:
    """Return the pose of each frame, (T, K, 2): the large student's on calls.

    Args:
        track: The track.
        called: Frames with a call, (T,).
        kind: Of the pose on other frames: 'small' is the small student's, 'repeat' the last one of
            the large student.
    """
    large = track.poses[:, LARGE]
    if kind == 'small':
        return np.where(called[:, None, None], large, track.poses[:, SMALL])
    return large[np.maximum.accumulate(np.where(called, np.arange(len(track)), 0))]


def cost(costs: dict[str, float], rule: str, kind: str, share: float) -> float:
    """Return the millions of multiply-adds of a frame on average.

    The trunk is shared: after the small student, a call costs only the top of the large branch.
    """
    if rule not in RULES and kind == 'repeat':
        return share * (costs['trunk'] + costs['large'])
    # A rule asks the small student on every frame; without one it runs on the other frames only.
    small = 1.0 if rule in RULES else 1 - share
    peer = costs['peer'] if rule == 'small_disagree' else 0.0
    return costs['trunk'] + small * costs['small'] + peer + share * costs['large']
