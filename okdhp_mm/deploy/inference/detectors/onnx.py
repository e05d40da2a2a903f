"""RTMDet and YOLOX as ONNX files, as rtmlib uses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ....errors import UserError
from ..runtime import onnxruntime_errors, open_session
from .detector import OVERLAP, THRESHOLD, inside

PADDING = 114
"""Gray value around a picture that is smaller than the input."""
SIZE = 640
"""Width and height of an input that the file leaves open."""
STRIDES = (8, 16, 32)
PIXELS = {
    'rtmdet': ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    'yolox': ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation of the inputs, BGR."""


class OnnxDetector:
    """A detector in onnxruntime.

    Takes what mmdeploy writes, boxes after suppression (``dets`` and ``labels``), and the raw
    output of YOLOX, ``(1, N, 5 + classes)``. Class 0 are persons.

    Args:
        file: The graph.
        kind: 'rtmdet' or 'yolox'; None reads it off the path.
        device: 'cpu' or 'cuda'; None takes the CPU.
        threshold: Least score of a person.

    Raises:
        UserError: If the file cannot be read or has other outputs, or onnxruntime is missing.
    """

    def __init__(
        self,
        file: Path,
        kind: str | None = None,
        device: str | None = None,
        threshold: float = THRESHOLD,
    ):
        self.mean, self.std = PIXELS[kind or _kind(file)]
        self.file, self.threshold = file, threshold
        self.session = open_session(file, device)
        (entry,) = self.session.get_inputs()[:1]
        self.name = entry.name
        if len(entry.shape) != 4:
            raise UserError(f'{file} takes an input of shape {entry.shape}, not a batch of images.')
        self.height, self.width = (
            side if isinstance(side, int) else SIZE for side in entry.shape[2:]
        )
        # One empty image tells whether the outputs are those of a detector.
        self(np.zeros((self.height, self.width, 3), np.uint8))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find the persons in an image, see :class:`Detector`."""
        height, width = image.shape[:2]
        ratio = min(self.height / height, self.width / width)
        outputs = self._run(image, ratio)
        if len(outputs) == 2 and outputs[0].shape[-1] == 5:
            (found,), labels = outputs[0], outputs[1].reshape(-1)
            boxes, scores = found[:, :4], found[:, 4] * (labels == 0)
        elif len(outputs) == 1 and outputs[0].shape[1:2] == (self._cells(),):
            boxes, scores = raw_yolox(outputs[0][0], self.height, self.width)
        else:
            shapes = ', '.join(str(output.shape) for output in outputs)
            raise UserError(
                f'{self.file} gives {shapes}: export RTMDet or YOLOX with mmdeploy, or YOLOX with '
                'its own exporter.'
            )
        kept = scores >= self.threshold
        return inside(boxes[kept] / ratio, scores[kept], image)

    def _run(self, image: np.ndarray, ratio: float) -> Sequence[np.ndarray]:
        padded = letterboxed(image, self.width, self.height, ratio)
        pixels = (padded.astype(np.float32) - self.mean) / np.array(self.std, np.float32)
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        with onnxruntime_errors(self.file):
            return self.session.run(None, {self.name: batch})

    def _cells(self) -> int:
        return sum((self.height // step) * (self.width // step) for step in STRIDES)


def letterboxed(image: np.ndarray, width: int, height: int, ratio: float) -> np.ndarray:
    """Return an image times a ratio in the upper left of an input, (H, W, 3)."""
    size = [max(1, int(side * ratio)) for side in image.shape[1::-1]]
    padded = np.full((height, width, 3), PADDING, np.uint8)
    padded[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return padded


def raw_yolox(output: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes around persons and their scores in the raw output of YOLOX.

    Args:
        output: (N, 5 + classes): the middle relative to its cell and the logarithm of the size, in
            strides, then the scores of an object and of each class.
        height: Height of the input.
        width: Width of the input.
    """
    cells, strides = [], []
    for step in STRIDES:
        rows, columns = np.mgrid[: height // step, : width // step]
        cells.append(np.stack([columns, rows], axis=-1).reshape(-1, 2))
        strides.append(np.full((rows.size, 1), step))
    stride = np.concatenate(strides)
    middle = (output[:, :2] + np.concatenate(cells)) * stride
    half = np.exp(output[:, 2:4]) * stride / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    persons = output[:, 5:].argmax(axis=1) == 0
    boxes, scores = boxes[persons], (output[:, 4] * output[:, 5])[persons]
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    indices = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.01, OVERLAP)
    kept = np.asarray(indices, int).reshape(-1)
    return boxes[kept], scores[kept]


def _kind(file: Path) -> str:
    found = [kind for kind in PIXELS if kind in str(file).lower()]
    if len(found) != 1:
        raise UserError(
            f'The name of {file} does not say which detector it is: give rtmdet:{file} or '
            f'yolox:{file}.'
        )
    return found[0]
