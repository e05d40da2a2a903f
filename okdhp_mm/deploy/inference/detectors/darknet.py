"""YOLO of Darknet in OpenCV, which needs no other package."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ....errors import UserError
from .detector import OVERLAP, THRESHOLD, inside


class DarknetDetector:
    """A detector of Darknet: YOLOv3, YOLOv4 and their tiny versions.

    Args:
        config: The ``.cfg`` file, with the size of the input.
        weights: The ``.weights`` file.
        threshold: Least score of a person.

    Raises:
        UserError: If OpenCV cannot read the files.
    """

    def __init__(self, config: Path, weights: Path, threshold: float = THRESHOLD):
        try:
            net = cv2.dnn.readNetFromDarknet(str(config), str(weights))
            self.model = cv2.dnn.DetectionModel(net)
            self.model.setInputParams(1 / 255, input_size(config), swapRB=True)
        except cv2.error as error:
            raise UserError(f'{config} and {weights} are not a detector: {error.err}.') from error
        self.threshold, self.person = threshold, person_class(config)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find the persons in an image, see :class:`Detector`."""
        classes, scores, boxes = self.model.detect(image, self.threshold, OVERLAP)
        person = np.asarray(classes).reshape(-1) == self.person
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)[person]
        boxes[:, 2:] += boxes[:, :2]
        return inside(boxes, np.asarray(scores, np.float32).reshape(-1)[person], image)


def input_size(config: Path) -> tuple[int, int]:
    """Return width and height of the input.

    Raises:
        UserError: If the file does not say them.
    """
    pairs = [line.split('=') for line in _lines(config) if line.count('=') == 1]
    said = {key.strip(): value.strip() for key, value in reversed(pairs)}
    try:
        return int(said['width']), int(said['height'])
    except (KeyError, ValueError):
        raise UserError(f'{config} has no width=... and height=... of the input.') from None


def person_class(config: Path) -> int:
    """Return the index of persons: from a ``.names`` file next to the config, or COCO's."""
    for file in sorted(config.parent.glob('*.names')):
        names = _lines(file)
        if 'person' in names:
            return names.index('person')
    return 0


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding='utf-8').splitlines()]
    except OSError as error:
        raise UserError(f'{file} cannot be read: {error.strerror}.') from None
    except UnicodeDecodeError as error:
        raise UserError(f'{file} is not text: {error}.') from None
