"""Engines that find poses: a student in mmpose's inferencer, or its graph in onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from mmpose.apis import Pose2DInferencer

from ...errors import UserError, as_user_error
from ...io.checkpoint import safe_loader
from ...io.config import read_config, require_key
from ...student.config import prepare_for_inferencer
from ...student.files import CHECKPOINT, CONFIG, student_files
from ...student.load import check_weights, names_and_skeleton
from .boxes import Boxes
from .runtime import onnxruntime_errors, providers_of

BATCH = 32
"""Number of persons that a network takes at once."""


class Engine(Protocol):
    """A student that finds poses.

    Attributes:
        keypoint_names: The K names.
        skeleton: Pairs of keypoint indices that a line connects.
    """

    keypoint_names: list[str]
    skeleton: list[list[int]]

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image.

        Args:
            image: (H, W, 3) uint8, BGR.
            boxes: Around persons; None takes the whole image as one person.

        Returns:
            The entries of mmpose's inferencer for each person: ``keypoints``, ``keypoint_scores``,
            ``bbox`` and ``bbox_score``.
        """


class BoxInferencer(Pose2DInferencer):
    """mmpose's inferencer with given boxes. The stock one ignores its argument ``bboxes``."""

    def preprocess_single(self, input, index, bboxes=(), **kwargs):
        """Return one input of the pipeline for each box."""
        if len(bboxes) == 0:
            return super().preprocess_single(input, index, **kwargs)
        info = dict(img=input, img_path=f'{index}.jpg', **self.model.dataset_meta)
        score = np.ones(1, np.float32)
        boxes = np.array(bboxes, np.float32)[:, None]
        return [self.pipeline(dict(info, bbox=box, bbox_score=score)) for box in boxes]


class ModelEngine:
    """A model of mmpose, or of this package, in mmpose's own inferencer.

    Args:
        config: Its config.
        checkpoint: Its checkpoint.
        device: As in torch; None takes a GPU if there is one.
        batch: Number of persons that the network takes at once.

    Raises:
        UserError: If a file is missing or damaged, or the device is not available.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        device: str | None = None,
        batch: int = BATCH,
    ):
        with as_user_error(f'--device {device} cannot be used here', RuntimeError, AssertionError):
            torch.zeros(0, device=device)
        with safe_loader():
            cfg = read_config(config)
            require_key(cfg, 'test_dataloader.dataset', f'Running {config}')
            prepare_for_inferencer(cfg)
            # A process has one visualizer of a name, and that of a training must write its log.
            cfg.visualizer.name = 'inference'
            self.inferencer = BoxInferencer(cfg, str(checkpoint), device, det_model='whole_image')
        meta = self.inferencer.model.dataset_meta
        self.keypoint_names, self.skeleton = names_and_skeleton(meta)
        self.batch = batch

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image, see :class:`Engine`."""
        if boxes is None:
            return self._found(image)
        parts = (self._found(image, bboxes=[part]) for part in parts_of(boxes, self.batch))
        return list(chain.from_iterable(parts))

    def _found(self, image: np.ndarray, **boxes: list[Boxes]) -> list[dict]:
        (result,) = self.inferencer([image], **boxes)
        return result['predictions'][0]


class TorchEngine(ModelEngine):
    """The student of a folder in mmpose's own inferencer.

    Args:
        folder: Folder with ``student.py`` and ``student.pth``.
        device: As in torch; None takes a GPU if there is one.
        batch: Number of persons that the network takes at once.

    Raises:
        UserError: If the student is missing or damaged, its checkpoint is of another network, or
            the device is not available.
    """

    def __init__(self, folder: Path, device: str | None = None, batch: int = BATCH):
        config, checkpoint = student_files(folder, CONFIG, CHECKPOINT)
        super().__init__(config, checkpoint, device, batch)
        check_weights(self.inferencer.model, checkpoint)


class OnnxEngine:
    """A student that was exported with its decoder, in onnxruntime.

    Args:
        folder: Folder with the graph.
        name: Name of its file.
        device: 'cpu' or 'cuda:N'; None takes the CPU.
        batch: Number of persons that the network takes at once.

    Raises:
        UserError: If the graph is missing or does not give keypoints, or onnxruntime is missing.
    """

    def __init__(self, folder: Path, name: str, device: str | None = None, batch: int = BATCH):
        (file,) = student_files(folder, name)
        with onnxruntime_errors(file):
            from ..onnx_pose import OnnxPose

            try:
                self.pose = OnnxPose(file, providers=providers_of(device))
            except ValueError as error:
                raise UserError(str(error)) from None
        self.keypoint_names, self.skeleton = self.pose.keypoint_names, self.pose.skeleton
        self.batch = batch

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image, see :class:`Engine`."""
        height, width = image.shape[:2]
        boxes = [[0, 0, width, height]] if boxes is None else boxes
        return [
            dict(
                keypoints=keypoints.tolist(),
                keypoint_scores=scores.tolist(),
                bbox=[list(map(float, box))],
                bbox_score=1.0,
            )
            for part in parts_of(boxes, self.batch)
            for keypoints, scores, box in zip(*self.pose(image, part), part, strict=True)
        ]


def parts_of(boxes: Boxes, size: int) -> Iterator[Boxes]:
    """Yield boxes in parts of at most this size."""
    for start in range(0, len(boxes), size):
        yield boxes[start : start + size]
