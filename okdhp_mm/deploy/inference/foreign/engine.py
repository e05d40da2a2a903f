"""Engine of a pose model of another program, described by an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmpose.codecs.utils import get_heatmap_maximum, get_simcc_maximum, refine_keypoints
from mmpose.structures.bbox import get_warp_matrix

from ....errors import UserError
from ..boxes import Boxes
from ..engines import BATCH, parts_of
from .adapter import Adapter
from .runtimes import Runtime


@dataclass(frozen=True)
class Crop:
    """Region of an image that a network looks at.

    Attributes:
        pixels: The region as the network takes it, float32 in its layout.
        matrix: Leads from the image to the region, (2, 3).
    """

    pixels: np.ndarray
    matrix: np.ndarray

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Return points of the region, (K, 2), in pixels of the image."""
        back = cv2.invertAffineTransform(self.matrix)
        return points @ back[:, :2].T + back[:, 2]


class ForeignEngine:
    """A pose model of another program.

    Args:
        file: Its file, to name in errors.
        runtime: The network.
        adapter: Description of its input and output.
        batch: Number of persons that the network takes at once, if it can.

    Raises:
        UserError: If the adapter does not fit the network.
    """

    def __init__(self, file: Path, runtime: Runtime, adapter: Adapter, batch: int = BATCH):
        self.file, self.runtime, self.adapter = file, runtime, adapter
        self.keypoint_names = list(adapter.keypoint_names)
        self.skeleton = adapter.links
        self.batch = batch if runtime.batch is None else runtime.batch
        size = tuple(adapter.input_size)
        if any(side not in (None, own) for side, own in zip(runtime.size, size, strict=True)):
            raise UserError(
                f'{file} takes crops of {runtime.size} (width, height), but its adapter says '
                f'input_size={list(size)}. Correct the adapter.'
            )
        # One empty crop tells whether the outputs fit the adapter.
        width, height = size
        blank = np.zeros((height, width, 3), np.uint8)
        self.found_in([self.crop(blank, np.array([0, 0, width, height], np.float32))])

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image, see :class:`~.engines.Engine`."""
        height, width = image.shape[:2]
        boxes = [[0, 0, width, height]] if boxes is None else boxes
        persons = []
        for part in parts_of(boxes, self.batch):
            crops = [self.crop(image, np.asarray(box, np.float32)) for box in part]
            found = zip(part, crops, self.found_in(crops), strict=True)
            persons += [person_of(box, crop, *poses) for box, crop, poses in found]
        return persons

    def crop(self, image: np.ndarray, box: np.ndarray) -> Crop:
        """Cut out the region around a box."""
        width, height = self.adapter.input_size
        sides = (box[2:] - box[:2]) * self.adapter.padding
        # The region has the aspect ratio of the input, and the box is inside.
        scale = max(sides[0] / width, sides[1] / height) * np.array([width, height])
        return self.warp(image, (box[:2] + box[2:]) / 2, scale)

    def warp(
        self, image: np.ndarray, center: np.ndarray, scale: np.ndarray, angle: float = 0
    ) -> Crop:
        """Cut out a region.

        Args:
            image: (H, W, 3) uint8, BGR.
            center: Center of the region in pixels of the image.
            scale: Its width and height.
            angle: Its rotation in degrees.
        """
        width, height = self.adapter.input_size
        matrix = get_warp_matrix(center, scale, angle, output_size=(width, height))
        pixels = cv2.warpAffine(image, matrix, (width, height))
        if self.adapter.channels == 'RGB':
            pixels = pixels[..., ::-1]
        pixels = (pixels - np.array(self.adapter.mean, np.float32)) / np.array(
            self.adapter.std, np.float32
        )
        if self.runtime.channels_first:
            pixels = pixels.transpose(2, 0, 1)
        return Crop(np.ascontiguousarray(pixels, np.float32), matrix)

    def found_in(self, crops: list[Crop]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the keypoints in crops, (K, 2) in their pixels, with scores, (K,)."""
        batch = np.stack([crop.pixels for crop in crops])
        missing = max(0, (self.runtime.batch or 0) - len(batch))
        # A file with a fixed batch takes no smaller one.
        outputs = self.runtime(np.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)]))
        arrays = self.chosen(outputs)
        return [self.decode([array[i] for array in arrays]) for i in range(len(crops))]

    def chosen(self, outputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs that the adapter names.

        Raises:
            UserError: If one is missing or has another shape.
        """
        count = 2 if self.adapter.output == 'simcc' else 1
        names = list(self.adapter.outputs) or list(outputs)[:count]
        if len(names) != count or not set(names) <= outputs.keys():
            raise UserError(
                f'{self.file} has the outputs {", ".join(outputs)}, but the adapter needs {count} '
                f'for {self.adapter.output}: {", ".join(names) or "none"}. Name them by `outputs`.'
            )
        arrays = [outputs[name] for name in names]
        keypoints = len(self.keypoint_names)
        if self.adapter.output == 'points':
            columns = len(self.adapter.columns)
            arrays = [array.reshape(len(array), -1) for array in arrays]
            # A model may give more points than have names.
            fit = all(array.shape[1] % columns == 0 and array.shape[1] >= keypoints * columns
                      for array in arrays)  # fmt: skip
        else:
            dimensions = 3 if self.adapter.output == 'simcc' else 4
            fit = all(array.ndim == dimensions and array.shape[1] == keypoints for array in arrays)
        if not fit:
            shapes = ', '.join(f'{name} {outputs[name].shape}' for name in names)
            raise UserError(
                f'{self.file} gives {shapes}, which is not `output`: "{self.adapter.output}" of '
                f'{keypoints} keypoints. Correct the adapter.'
            )
        return arrays

    def decode(self, arrays: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the keypoints of one person, (K, 2), and their scores, (K,)."""
        size = np.array(self.adapter.input_size, np.float32)
        if self.adapter.output == 'points':
            columns = list(self.adapter.columns)
            rows = arrays[0].reshape(-1, len(columns))[: len(self.keypoint_names)]
            points = rows[:, [columns.index('x'), columns.index('y')]]
            points = points * size if self.adapter.unit == 'image' else points
            scores = (
                np.ones(len(rows)) if 'score' not in columns else rows[:, columns.index('score')]
            )
        elif self.adapter.output == 'simcc':
            locations, scores = get_simcc_maximum(*arrays)
            points = locations / [array.shape[-1] for array in arrays] * size
        else:
            locations, scores = get_heatmap_maximum(arrays[0])
            points = refine_keypoints(locations[None], arrays[0])[0]
            points = points / arrays[0].shape[:0:-1] * size
        return points, sigmoid(scores) if self.adapter.sigmoid else scores


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -50, 50)))


def person_of(
    box: Sequence[float] | np.ndarray, crop: Crop, points: np.ndarray, scores: np.ndarray
) -> dict:
    """Return the entries of one person, see :class:`~.engines.Engine`."""
    return dict(
        keypoints=crop.to_image(points).tolist(),
        keypoint_scores=np.asarray(scores, float).tolist(),
        bbox=[list(map(float, box))],
        bbox_score=1.0,
    )
