"""Read the annotated clips of six basketball players, and the boxes of a real detector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from okdhp_mm.video.metric import ComparedFrame
from okdhp_mm.video.poseflow_released import overlaps

RATE = 20.0
"""Frames per second of all clips."""
SIGMA = 0.1
"""Sigma of the similarity that evaluates trackers, in body heights."""
Frames = Sequence[tuple[np.ndarray, np.ndarray]]


def pose_clips(folder: Path) -> dict[str, np.ndarray]:
    """Return the true poses of each clip by name, (T, 6, K, 2); the second axis is the identity."""
    clips = {}
    for file in sorted(folder.glob('basket_*_post.json')):
        content = json.loads(file.read_text())
        numbers = {image['id']: image['frame_id'] for image in content['images']}
        first = min(numbers.values())
        poses = np.full((len(numbers), 6, 10, 2), np.nan)
        for person in content['annotations']:
            keypoints = np.reshape(person['keypoints'], (10, 3))[:, :2]
            poses[numbers[person['image_id']] - first, person['track_id']] = keypoints
        clips[file.stem.split('_')[1]] = poses
    return clips


def box_clips(file: Path) -> dict[str, tuple[list, list]]:
    """Return true and detected boxes of each clip: (boxes, identities) of each frame.

    The identities of the detected boxes are those of BoT-SORT, which came with them.
    """
    data = np.load(file)
    clips = {}
    for name in sorted({key.rsplit('/', 1)[0] for key in data}):
        true, found = data[f'{name}/gt'], data[f'{name}/boxes']
        count = int(true[:, 0].max())
        # True frames count from 1, detected ones from 0.
        clips[name] = _by_frame(true, 1, count), _by_frame(found, 0, count)
    return clips


def _by_frame(rows: np.ndarray, first: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    boxes = rows[:, 2:].astype(float)
    boxes[:, 2:] += boxes[:, :2]
    frames = [rows[:, 0] == first + index for index in range(count)]
    return [(boxes[here], rows[here, 1].astype(int)) for here in frames]


def compare_poses(truth: np.ndarray, detected: Frames, ids: Sequence) -> list[ComparedFrame]:
    """Return the frames of a clip of poses for evaluation."""
    return [
        ComparedFrame(np.arange(len(persons)), found, _similarity(persons, poses))
        for persons, (poses, _), found in zip(truth, detected, ids, strict=True)
    ]


def compare_boxes(truth: Frames, detected: Frames, ids: Sequence) -> list[ComparedFrame]:
    """Return the frames of a clip of boxes for evaluation, by intersection over union."""
    return [
        ComparedFrame(true_ids, found, overlaps(true, boxes))
        for (true, true_ids), (boxes, _), found in zip(truth, detected, ids, strict=True)
    ]


def _similarity(persons: np.ndarray, poses: np.ndarray) -> np.ndarray:
    heights = np.ptp(persons, axis=1).max(1)[:, None, None]
    distances = np.linalg.norm(persons[:, None] - poses[None], axis=-1)
    return np.exp(-((distances / (2 * SIGMA * heights)) ** 2) / 2).mean(-1)
