"""Annotated clips of six players, for tests of trackers."""

import json

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

RATE = 20.0
"""Frames per second of the clips."""


def clip(data_root, name):
    """Return the true poses of a clip, (T, 6, 10, 2); the second axis is the identity."""
    file = data_root / 'players3x3' / f'basket_{name}_post.json'
    if not file.exists():
        pytest.skip(f'{file} does not exist')
    content = json.loads(file.read_text())
    frames = {image['id']: image['frame_id'] for image in content['images']}
    first = min(frames.values())
    poses = np.full((len(frames), 6, 10, 2), np.nan)
    for person in content['annotations']:
        keypoints = np.reshape(person['keypoints'], (10, 3))[:, :2]
        poses[frames[person['image_id']] - first, person['track_id']] = keypoints
    return poses


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
