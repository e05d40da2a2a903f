"""Poses from an exported ``student.onnx`` without torch and mmpose.

This file needs numpy, opencv and onnxruntime, and nothing else of the package: take it along to
where the student runs. How to crop and normalise is in the graph's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


class OnnxPose:
    """A student that was exported with its decoder.

    Args:
        file: Path of the graph.
        threads: Number of CPU threads; 0 leaves it to onnxruntime.
        providers: Where onnxruntime computes, by its own names, e.g. 'CUDAExecutionProvider'.

    Attributes:
        keypoint_names: The K names.
        skeleton: Pairs of keypoints' indices that are joined by a line.

    Raises:
        ValueError: If the graph gives no keypoints, or was exported by another program.
    """

    def __init__(
        self,
        file: str | Path,
        threads: int = 0,
        providers: Sequence[str] = ('CPUExecutionProvider',),
    ):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(file), options, providers=list(providers))
        metadata = self.session.get_modelmeta().custom_metadata_map
        if 'crop' not in metadata:
            raise ValueError(f'{file} does not say how to crop: export it with this package.')
        if [output.name for output in self.session.get_outputs()] != ['keypoints', 'scores']:
            raise ValueError(f'{file} gives maps, not keypoints: export it with --onnx --decode.')
        crop, pixels = json.loads(metadata['crop']), json.loads(metadata['pixels'])
        self.input_size = np.array(crop['input_size'], np.float32)
        self.padding, self.use_udp = crop['padding'], crop['use_udp']
        self.mean, self.std = (np.array(pixels[key], np.float32) for key in ('mean', 'std'))
        self.rgb = pixels['channels'] == 'RGB'
        self.keypoint_names: list[str] = json.loads(metadata['keypoint_names'])
        self.skeleton: list[list[int]] = json.loads(metadata['skeleton'])

    def __call__(
        self, image: np.ndarray, boxes: Sequence[Sequence[float]] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the poses in an image.

        Args:
            image: uint8 as OpenCV reads it: (H, W, 3) BGR, (H, W, 4) BGRA, or (H, W) grey.
            boxes: N boxes around persons, x1 y1 x2 y2 each. By default one, the whole image; an
                empty list means that there are no persons.

        Returns:
            Keypoints in pixels of the image, (N, K, 2), and their scores, (N, K).

        Raises:
            ValueError: If the image or a box has another layout, or a box is not finite.
        """
        image = _bgr(image)
        if boxes is None:
            boxes = [(0, 0, image.shape[1], image.shape[0])]
        names = len(self.keypoint_names)
        if len(boxes) == 0:
            return np.zeros((0, names, 2), np.float32), np.zeros((0, names), np.float32)
        corners = np.array(boxes, np.float32)
        if corners.shape != (len(boxes), 4) or not np.isfinite(corners).all():
            raise ValueError(f'boxes={boxes!r}: give x1 y1 x2 y2 for each person, finite numbers.')
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        scales = np.array([self._scale(box) for box in corners])
        crops = [self._crop(image, *place) for place in zip(centres, scales, strict=True)]
        keypoints, scores = self.session.run(None, {'input': np.stack(crops)})
        # Out of the crop again as mmpose does it, for UDP as well.
        corner, size = (centres - scales / 2)[:, None], scales[:, None]
        return keypoints / self.input_size * size + corner, scores

    def _scale(self, box: np.ndarray) -> np.ndarray:
        """Width and height of the region around a box that has the input's aspect ratio."""
        width, height = (box[2:] - box[:2]) * self.padding
        aspect = self.input_size[0] / self.input_size[1]
        if width > height * aspect:
            return np.array((width, width / aspect), np.float32)
        return np.array((height * aspect, height), np.float32)

    def _crop(self, image: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """One region as the network wants it, (3, H, W)."""
        # UDP measures from the middle of the first pixel to that of the last.
        size = self.input_size - self.use_udp
        corners = np.array(((0, 0), (-0.5, 0), (-0.5, 0.5)), np.float32)
        matrix = cv2.getAffineTransform(
            (centre + corners * scale).astype(np.float32),
            (size / 2 + corners * size).astype(np.float32),
        )
        crop = cv2.warpAffine(image, matrix, tuple(int(length) for length in self.input_size))
        if self.rgb:
            crop = crop[..., ::-1]
        return ((crop.astype(np.float32) - self.mean) / self.std).transpose(2, 0, 1)


def _bgr(image: np.ndarray) -> np.ndarray:
    """Return an image with three channels."""
    if getattr(image, 'dtype', None) != np.uint8:
        # OpenCV gives None for a file that it cannot read.
        raise ValueError(f'The image is {getattr(image, "dtype", image)}: give an array of uint8.')
    if image.ndim == 2 or image.shape[2:] == (1,):
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2:] == (4,):
        return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    if image.shape[2:] != (3,):
        raise ValueError(f'The image has the shape {image.shape}: give (H, W), (H, W, 3 or 4).')
    return image
