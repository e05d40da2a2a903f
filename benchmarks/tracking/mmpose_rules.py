"""The tracking of mmpose's 3-D inferencer: its own functions in its own loop."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from mmpose.apis.inference_tracking import _track_by_iou, _track_by_oks

from okdhp_mm.video.poseflow_released import extents

THRESHOLD = 0.3
"""Default of the inferencer's ``tracking_thr``."""


class MmposeRule:
    """Tracker that continues a pose of the frame before, or gives a new identity.

    Args:
        oks: Compare by object keypoint similarity instead of boxes.
        sigma: Of every keypoint; the default of mmpose fits the 17 of COCO only.
    """

    def __init__(self, oks: bool = False, sigma: float = 0.08):
        self.oks, self.sigma = oks, sigma
        self.last: list[SimpleNamespace] = []
        self.next, self.named = 0, []

    def update(self, time_s, keypoints, scores) -> np.ndarray:
        """Give the poses of the next frame identities."""
        persons = []
        boxes = extents(np.asarray(keypoints)) if len(keypoints) else np.zeros((0, 4))
        for pose, score, box in zip(keypoints, scores, boxes, strict=True):
            found = SimpleNamespace(
                keypoints=pose[None],
                keypoint_scores=score[None],
                bboxes=box[None],
                areas=np.prod(box[2:] - box[:2])[None],
            )
            person = SimpleNamespace(pred_instances=found)
            if self.oks:
                sigmas = np.full(len(pose), self.sigma)
                identity, self.last, _ = _track_by_oks(person, self.last, THRESHOLD, sigmas)
            else:
                identity, self.last, _ = _track_by_iou(person, self.last, THRESHOLD)
            if identity == -1:
                identity, self.next = self.next, self.next + 1
            person.track_id = identity
            persons.append(person)
        self.last = persons.copy()
        self.named.append(np.array([person.track_id for person in persons], int))
        return self.named[-1]

    def finish(self) -> list[np.ndarray]:
        """Return the identities of every update."""
        return self.named
