"""Annotated clips of six players, for tests of trackers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from tracking.players import RATE, pose_clips  # noqa: E402, F401


def clip(data_root, name):
    """Return the true poses of a clip, (T, 6, 10, 2); the second axis is the identity."""
    folder = data_root / 'players3x3'
    if not folder.is_dir():
        pytest.skip(f'{folder} does not exist')
    return pose_clips(folder)[name]


def switches(truth, detections, ids):
    """Return the identity switches as CLEAR MOT counts them, for tests that lack trackeval."""
    count, last = 0, np.full(truth.shape[1], -1)
    for persons, (keypoints, _), found in zip(truth, detections, ids, strict=True):
        keypoints, found = keypoints[found >= 0], found[found >= 0]
        alike = oks(persons, keypoints)
        stays = last[:, None] == found[None]
        pairs = linear_sum_assignment(np.where(alike >= 0.5, alike + 9 * stays, 0), maximize=True)
        for person, pose in zip(*pairs, strict=True):
            if alike[person, pose] >= 0.5:
                count += last[person] not in (-1, found[pose])
                last[person] = found[pose]
    return count


def oks(persons, poses):
    heights = np.ptp(persons, axis=1).max(1)[:, None, None]
    distances = np.linalg.norm(persons[:, None] - poses[None], axis=-1)
    return np.exp(-((distances / (0.2 * heights)) ** 2) / 2).mean(-1)
