"""Draw the errors of a detector and a pose network on true poses, reproducibly.

Per frame and person: the keypoints jitter; a person is missed at random, and more often behind a
nearer one, or the nearer one's keypoints are found instead; some persons are found twice; and there
are ghosts. The errors are independent from frame to frame. The model is ours: compare trackers by
it, and quote no absolute number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Errors:
    """Rates of a detector's errors; lengths in body heights.

    Attributes:
        jitter: Standard deviation of each coordinate.
        missed: Share of persons that are missed at random.
        hidden: Share of persons that are missed times their overlap with a nearer person.
        confused: The same where the nearer person's keypoints are found instead.
        doubled: Share of persons that are found twice.
        ghosts: False persons per frame.
    """

    jitter: float
    missed: float
    hidden: float
    confused: float
    doubled: float = 0.0
    ghosts: float = 0.0


LIGHT = Errors(jitter=0.02, missed=0.01, hidden=0.3, confused=0.1)
HEAVY = Errors(jitter=0.03, missed=0.03, hidden=0.6, confused=0.3, doubled=0.05, ghosts=0.3)


def detect(
    poses: np.ndarray, errors: Errors, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is detected of the true poses of a frame.

    Args:
        poses: (P, K, 2).
        errors: The rates.
        rng: The only source of chance.

    Returns:
        Keypoints (N, K, 2) and scores (N, K), in random order.
    """
    low, high = poses.min(1), poses.max(1)
    heights = (high - low).max(1)
    found, scores = [], []

    def add(pose: np.ndarray, height: float, score: float) -> None:
        found.append(pose + errors.jitter * height * rng.standard_normal(pose.shape))
        scores.append(np.clip(score + 0.05 * rng.standard_normal(len(pose)), 0.01, 1))

    for person, pose in enumerate(poses):
        nearer, overlap = _covered(person, low, high)
        if rng.random() < errors.missed + errors.hidden * overlap:
            continue
        if nearer is not None and rng.random() < errors.confused * overlap:
            pose = poses[nearer]
        add(pose, heights[person], rng.uniform(0.7, 0.95))
        if rng.random() < errors.doubled:
            add(pose, heights[person], rng.uniform(0.5, 0.8))
    for _ in range(rng.poisson(errors.ghosts)):
        pose = poses[rng.integers(len(poses))]
        place = rng.uniform(low.min(0), high.max(0))
        add(pose - pose.mean(0) + place, heights.mean(), rng.uniform(0.2, 0.6))
    if not found:
        return np.zeros((0, *poses.shape[1:])), np.zeros((0, poses.shape[1]))
    order = rng.permutation(len(found))
    return np.stack(found)[order], np.stack(scores)[order]


def _covered(person: int, low: np.ndarray, high: np.ndarray) -> tuple[int | None, float]:
    """Return who covers most of a person's box from nearer to the camera, and which share."""
    corner = np.minimum(high[person], high) - np.maximum(low[person], low)
    shared = corner.clip(min=0).prod(1) / (high[person] - low[person]).prod()
    # Whose feet are lower in the image stands nearer.
    shared[high[:, 1] <= high[person, 1]] = 0
    nearer = int(shared.argmax())
    return (nearer, float(shared[nearer])) if shared[nearer] > 0 else (None, 0.0)
