"""Run trackers of other packages, in an interpreter that has them.

    python benchmarks/tracking/others.py NAME INPUT.npz OUTPUT.npz

NAME is bytetrack (package bytetracker), ocsort (package ocsort) or norfair. All run with their
defaults. The input has `N/keypoints`, `N/scores`, `N/counts` and `N/rate` of sequence N. This
script imports nothing of okdhp_mm, because the packages ask for other versions of numpy.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.optimize import linear_sum_assignment


class Boxes:
    """Tracker of boxes that returns other boxes; they are assigned to the detections."""

    def __init__(self, name: str, rate: float):
        import torch

        self.tensor = torch.tensor
        if name == 'bytetrack':
            from bytetracker import BYTETracker

            self.tracker = BYTETracker(frame_rate=rate)
        else:
            from ocsort.ocsort import OCSort

            self.tracker = OCSort()

    def update(self, keypoints, scores) -> np.ndarray:
        """Return identities, -1 where the tracker returns no box."""
        boxes = np.concatenate([keypoints.min(1), keypoints.max(1)], axis=1)
        rows = np.column_stack([boxes, scores.mean(1), np.zeros(len(boxes))])
        found = np.reshape(self.tracker.update(self.tensor(rows), None), (-1, 7)).astype(float)
        ids = np.full(len(boxes), -1)
        low = np.maximum(found[:, None, :2], boxes[None, :, :2])
        high = np.minimum(found[:, None, 2:4], boxes[None, :, 2:])
        shared = (high - low).clip(min=0).prod(-1)
        areas = [(b[:, 2:4] - b[:, :2]).prod(-1) for b in (found, boxes)]
        overlap = shared / (areas[0][:, None] + areas[1][None] - shared)
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True)):  # noqa: B905
            if overlap[row, column] > 0.3:
                ids[column] = int(found[row, 4])
        return ids


class Norfair:
    """norfair with its keypoint voting distance; a keypoint agrees within a fifth of the height."""

    def __init__(self, rate: float):
        import norfair

        self.norfair, self.tracker = norfair, None

    def update(self, keypoints, scores) -> np.ndarray:
        """Return identities, -1 where norfair has none yet."""
        if self.tracker is None and len(keypoints):
            height = np.median(np.ptp(keypoints, axis=1).max(1))
            voting = self.norfair.distances.create_keypoints_voting_distance(0.2 * height, 0.3)
            needed = 1 / (1 + keypoints.shape[1] // 3)
            self.tracker = self.norfair.Tracker(voting, distance_threshold=needed)
        ids = np.full(len(keypoints), -1)
        if self.tracker is None:
            return ids
        detections = [
            self.norfair.Detection(points=pose, scores=score, data=index)
            for index, (pose, score) in enumerate(zip(keypoints, scores))  # noqa: B905
        ]
        for person in self.tracker.update(detections):
            if any(person.last_detection is detection for detection in detections):
                ids[person.last_detection.data] = person.id
        return ids


def main() -> None:
    """Track every sequence of the input."""
    name, source, target = sys.argv[1:]
    data, results = np.load(source), {}
    sequences = sorted({key.split('/')[0] for key in data})
    for number in sequences:
        rate = float(data[f'{number}/rate'])
        tracker = Norfair(rate) if name == 'norfair' else Boxes(name, rate)
        ends = np.cumsum(data[f'{number}/counts'])[:-1]
        frames = [np.split(data[f'{number}/{part}'], ends) for part in ('keypoints', 'scores')]
        start = time.process_time()
        ids = [tracker.update(*frame) for frame in zip(*frames)]  # noqa: B905
        results[f'{number}/seconds'] = time.process_time() - start
        results[f'{number}/ids'] = np.concatenate(ids)
    np.savez(target, **results)


if __name__ == '__main__':
    main()
