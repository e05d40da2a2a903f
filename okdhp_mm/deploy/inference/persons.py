"""Boxes around the persons in a picture: given, detected, or from the last poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ...errors import UserError
from .boxes import Boxes, per_frame
from .detectors import Detector
from .sources import Frame

MARGIN = 1.2
"""Box of a person over the extent of the keypoints: head and hands reach beyond them."""
FEWEST = 3
"""Keypoints that a box can be derived from."""
SAME = 0.7
"""Two boxes that share more (intersection over union) follow one person."""


@dataclass(frozen=True)
class Detections:
    """Boxes around persons.

    Attributes:
        boxes: x1 y1 x2 y2 each; None takes the whole image as one person.
        scores: One for each box.
        origin: Origin of the boxes: 'given', 'detector', 'last poses' or 'whole image'.
    """

    boxes: Boxes | None
    scores: Sequence[float] = ()
    origin: str = 'given'


@dataclass
class PersonBoxes:
    """Boxes around the persons of each picture or frame.

    Attributes:
        given: Boxes by name, as :func:`~.boxes.read_boxes` gives them. They come first.
        detector: Finds the persons where no boxes were given.
        every: Detect in every so many frames of a video; between, boxes follow the poses.
        threshold: Least score of a keypoint that a box follows.
    """

    given: Mapping[str, Any]
    detector: Detector | None
    every: int
    threshold: float
    last: list[dict] = field(default_factory=list)

    def find(self, frame: Frame) -> Detections:
        """Return the boxes of a picture or frame.

        Raises:
            UserError: If there are lists for each frame of a video, but not for this one.
        """
        given: Any = self.given.get(frame.name)
        if per_frame(given):
            assert frame.number is not None  # only videos have lists per frame
            if frame.number >= len(given):
                raise UserError(
                    f'{frame.source} has more frames than the {len(given)} lists of boxes.'
                )
            given = given[frame.number]
        if given is not None:
            return Detections(given, [1.0] * len(given))
        if self.detector is None:
            return Detections(None, [1.0], 'whole image')
        if frame.number is not None and frame.number % self.every:
            return self._followed(frame.image)
        found = self.detector(frame.image)
        return Detections(found[:, :4].tolist(), found[:, 4].tolist(), 'detector')

    def _followed(self, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        boxes = np.array([self._around(person) for person in self.last], np.float32)
        boxes = np.clip(boxes.reshape(-1, 4), 0, [width, height, width, height])
        scores = [float(person['bbox_score']) for person in self.last]
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        inside = [i for i, side in enumerate(sides) if (side[2:] >= 1).all()]
        kept = cv2.dnn.NMSBoxes(sides[inside].tolist(), [scores[i] for i in inside], 0, SAME)
        kept = sorted(inside[i] for i in np.asarray(kept, int).reshape(-1))
        return Detections(boxes[kept].tolist(), [scores[i] for i in kept], 'last poses')

    def _around(self, person: dict) -> np.ndarray:
        """Return the box around a pose, or the person's old one if the pose is not certain."""
        certain = np.asarray(person['keypoint_scores']) >= self.threshold
        if certain.sum() < FEWEST:
            return np.ravel(person['bbox'])
        points = np.asarray(person['keypoints'])[certain]
        low, high = points.min(axis=0), points.max(axis=0)
        middle, half = (low + high) / 2, (high - low) / 2 * MARGIN
        return np.concatenate([middle - half, middle + half])
