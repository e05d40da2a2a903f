"""Poses from an exported ``student.onnx`` without torch and mmpose.

This file needs numpy, opencv and onnxruntime, and nothing else of the package: take it along to
where the student runs. How to crop and normalize is in the graph's metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

DECODED = ['keypoints', 'scores']
MOST_BYTES = 2**31
"""Limit of the format."""
EXTERNAL = re.compile(rb'(\x0a|\x8a\x80*\x00)(\x08|\x88\x80*\x00)location')
"""Entry of a tensor that names the file of its values, in every spelling that protobuf reads."""


class OnnxPose:
    """A student that was exported with its decoder.

    Args:
        file: Path of the graph.
        threads: Number of CPU threads; 0 leaves it to onnxruntime.
        providers: Execution providers of onnxruntime, e.g. 'CUDAExecutionProvider'.

    Attributes:
        keypoint_names: The K names.
        skeleton: Pairs of keypoints' indices that are joined by a line.

    Raises:
        ValueError: If the graph is broken, names other files, gives no keypoints, or was exported
            by another program.
    """

    def __init__(
        self,
        file: str | Path,
        threads: int = 0,
        providers: Sequence[str] = ('CPUExecutionProvider',),
    ):
        self.session = open_graph(Path(file), threads, providers)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if 'crop' not in metadata:
            raise ValueError(f'{file} does not say how to crop: export it with this package.')
        # Graphs for video have more outputs.
        if [output.name for output in self.session.get_outputs()][:2] != DECODED:
            raise ValueError(f'{file} gives maps, not keypoints: export it with --onnx --decode.')
        try:
            self._read(metadata)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(
                f'{file} does not describe its own input and outputs ({error!r}): export it again.'
            ) from None

    def _read(self, metadata: dict[str, str]) -> None:
        """Set how to crop and what the keypoints are; raise if that does not fit the graph."""
        entries = ('crop', 'pixels', 'keypoint_names', 'skeleton')
        crop, pixels, names, links = (json.loads(metadata[key]) for key in entries)
        self.input_size = np.array(crop['input_size'], np.float32)
        self.padding, self.use_udp = float(crop['padding']), bool(crop['use_udp'])
        self.mean, self.std = (np.array(pixels[key], np.float32) for key in ('mean', 'std'))
        self.rgb = pixels['channels'] == 'RGB'
        self.keypoint_names: list[str] = names
        self.skeleton: list[list[int]] = [[int(start), int(end)] for start, end in links]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f'keypoint_names={names!r}')
        if any(index not in range(len(names)) for link in self.skeleton for index in link):
            raise ValueError(f'skeleton={links!r}')
        if not (0 < self.padding < np.inf and np.isfinite([self.mean, self.std]).all()):
            raise ValueError(f'padding={self.padding}, pixels={pixels!r}')
        given = {each.name: each.shape[1:] for each in self.session.get_inputs()}
        if given != {'input': [3, *self.input_size[::-1]]} or self.mean.shape != (3,):
            raise ValueError(f'input_size={crop["input_size"]!r}, input={given!r}')
        for output, size in zip(self.session.get_outputs()[:2], ([2], []), strict=True):
            if output.shape[1:] != [len(names), *size]:
                raise ValueError(f'{len(names)} keypoint names, {output.name}={output.shape!r}')

    def __call__(
        self, image: np.ndarray, boxes: Sequence[Sequence[float]] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the poses in an image.

        Args:
            image: uint8 as OpenCV reads it: (H, W, 3) BGR, (H, W, 4) BGRA, or (H, W) gray.
            boxes: N boxes around persons, x1 y1 x2 y2 each. By default one, the whole image; an
                empty list means that the image has no persons.

        Returns:
            Keypoints in pixels of the image, (N, K, 2), and their scores, (N, K).

        Raises:
            ValueError: If the image or a box has another layout, or a box is not finite.
        """
        if boxes is not None and len(boxes) == 0:
            return self.no_poses()
        crops, corner, size = self.crops(image, boxes)
        keypoints, scores = self.session.run(DECODED, {'input': crops})
        return keypoints / self.input_size * size + corner, scores

    def no_poses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints and scores of no person."""
        names = len(self.keypoint_names)
        return np.zeros((0, names, 2), np.float32), np.zeros((0, names), np.float32)

    def crops(
        self, image: np.ndarray, boxes: Sequence[Sequence[float]] | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut out the regions around boxes.

        Args:
            image: As in a call.
            boxes: N boxes, at least one, or None.

        Returns:
            The crops as the network wants them, (N, 3, H, W), their upper left corners in the
            image, (N, 1, 2), and their sizes in pixels of the image, (N, 1, 2).
        """
        image = _bgr(image)
        if boxes is None:
            boxes = [(0, 0, image.shape[1], image.shape[0])]
        corners = np.array(boxes, np.float32)
        if corners.shape != (len(boxes), 4) or not np.isfinite(corners).all():
            raise ValueError(f'boxes={boxes!r}: give x1 y1 x2 y2 for each person, finite numbers.')
        centers = (corners[:, :2] + corners[:, 2:]) / 2
        scales = np.array([self._scale(box) for box in corners])
        crops = [self._crop(image, *place) for place in zip(centers, scales, strict=True)]
        # As mmpose leads out of the crop again, for UDP as well.
        return np.stack(crops), (centers - scales / 2)[:, None], scales[:, None]

    def _scale(self, box: np.ndarray) -> np.ndarray:
        """Width and height of the region around a box that has the input's aspect ratio."""
        width, height = (box[2:] - box[:2]) * self.padding
        aspect = self.input_size[0] / self.input_size[1]
        if width > height * aspect:
            return np.array((width, width / aspect), np.float32)
        return np.array((height * aspect, height), np.float32)

    def _crop(self, image: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """One region as the network wants it, (3, H, W)."""
        # UDP measures from the middle of the first pixel to that of the last.
        size = self.input_size - self.use_udp
        corners = np.array(((0, 0), (-0.5, 0), (-0.5, 0.5)), np.float32)
        matrix = cv2.getAffineTransform(
            (center + corners * scale).astype(np.float32),
            (size / 2 + corners * size).astype(np.float32),
        )
        crop = cv2.warpAffine(image, matrix, tuple(int(length) for length in self.input_size))
        if self.rgb:
            crop = crop[..., ::-1]
        return ((crop.astype(np.float32) - self.mean) / self.std).transpose(2, 0, 1)


def open_graph(file: Path, threads: int, providers: Sequence[str]) -> onnxruntime.InferenceSession:
    """Open a graph that consists of one file.

    Raises:
        ValueError: If onnxruntime cannot run it, or it names other files.
    """
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f'{file} is larger than 2 GiB, which an ONNX file cannot be.')
    content = file.read_bytes()
    if EXTERNAL.search(content):
        raise ValueError(f'{file} keeps weights in other files: export it again, into one file.')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # the exceptions of onnxruntime have no class in common
        reason = ' '.join(str(error).split())[:300]
        raise ValueError(
            f'{file} is not a complete graph that onnxruntime {onnxruntime.__version__} can run '
            f'({reason}).'
        ) from None


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
