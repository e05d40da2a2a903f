"""Smooth the poses of one person over time (numpy and scipy only).

Off by default everywhere: smoothing helps noisy poses and harms good ones, see docs/video.md.
Times are in seconds and lengths in body heights, so that settings hold for every video.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.signal import savgol_filter


def one_euro(
    times: np.ndarray,
    keypoints: np.ndarray,
    height: float,
    cutoff: float = 1.5,
    speed_gain: float = 5.0,
    speed_cutoff: float = 1.0,
) -> np.ndarray:
    """Return keypoints smoothed by the One Euro filter, which needs no later frames.

    Casiez et al., 1 Euro filter, CHI 2012: a low-pass filter whose cutoff grows with the speed.

    Args:
        times: (T,), increasing.
        keypoints: (T, K, 2); NaN where a keypoint was not found.
        height: Body height in pixels.
        cutoff: In hertz, of a keypoint at rest.
        speed_gain: Growth of the cutoff in hertz per body height per second.
        speed_cutoff: In hertz, applied to the speed itself.
    """
    smooth = np.array(keypoints, float)
    state = np.full(smooth.shape[1:], np.nan)
    speed = np.zeros(smooth.shape[1])
    last = np.full(smooth.shape[1], -np.inf)
    for time, points in zip(times, smooth, strict=True):
        found = np.isfinite(points).all(-1)
        known = found & np.isfinite(state).all(-1)
        elapsed = time - last[known]
        moved = np.linalg.norm(points[known] - state[known], axis=-1) / height / elapsed
        speed[known] += _share(speed_cutoff, elapsed) * (moved - speed[known])
        share = _share(cutoff + speed_gain * speed[known], elapsed)
        state[known] += share[:, None] * (points[known] - state[known])
        state[found & ~known] = points[found & ~known]
        last[found] = time
        points[found] = state[found]
    return smooth


def _share(cutoff: np.ndarray | float, elapsed: np.ndarray) -> np.ndarray:
    """Return the weight of a new value in a low-pass filter."""
    passed = 2 * np.pi * cutoff * elapsed
    return passed / (passed + 1)


def savitzky_golay(
    times: np.ndarray, keypoints: np.ndarray, window: float = 0.35, order: int = 2
) -> np.ndarray:
    """Return keypoints smoothed by local polynomials, which needs later frames as well.

    Each keypoint is smoothed between its gaps. Runs shorter than the window stay as they are.

    Args:
        times: (T,), increasing.
        keypoints: (T, K, 2); NaN where a keypoint was not found.
        window: In seconds.
        order: Order of the polynomials.
    """
    smooth = np.array(keypoints, float)
    if len(times) < 3:
        return smooth
    step = np.median(np.diff(times))
    frames = 2 * round(window / step / 2) + 1
    if frames <= order:
        return smooth
    for k in range(smooth.shape[1]):
        for run in _runs(times, np.isfinite(smooth[:, k]).all(-1), 1.5 * step):
            if run.stop - run.start >= frames:
                smooth[run, k] = savgol_filter(smooth[run, k], frames, order, axis=0)
    return smooth


def _runs(times: np.ndarray, found: np.ndarray, gap: float) -> Iterator[slice]:
    """Yield the frames in which a keypoint was found without a gap."""
    start = None
    for index, (time, here) in enumerate(zip(times, found, strict=True)):
        if start is not None and (not here or time - times[index - 1] > gap):
            yield slice(start, index)
            start = None
        if here and start is None:
            start = index
    if start is not None:
        yield slice(start, len(times))
