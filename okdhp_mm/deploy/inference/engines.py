"""What finds the poses: a student in mmpose's inferencer, or its graph in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from mmpose.apis import Pose2DInferencer

from ...checkpoint import safe_loader
from ...errors import UserError, as_user_error
from ...export import CHECKPOINT, CONFIG
from ..student import student_files
from .boxes import Boxes


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
    """mmpose's inferencer with given boxes: it does not use its own argument for them."""

    def preprocess_single(self, input, index, bboxes=(), **kwargs):
        """Return one input of the pipeline for each box."""
        if len(bboxes) == 0:
            return super().preprocess_single(input, index, **kwargs)
        info = dict(img=input, img_path=f'{index}.jpg', **self.model.dataset_meta)
        score = np.ones(1, np.float32)
        boxes = np.array(bboxes, np.float32)[:, None]
        return [self.pipeline(dict(info, bbox=box, bbox_score=score)) for box in boxes]


class TorchEngine:
    """The student of a folder in mmpose's own inferencer.

    Args:
        folder: Where ``student.py`` and ``student.pth`` are.
        device: As in torch; None takes a GPU if there is one.

    Raises:
        UserError: If the student is missing, or the device is not available.
    """

    def __init__(self, folder: Path, device: str | None = None):
        with as_user_error(f'--device {device} cannot be used here', RuntimeError, AssertionError):
            torch.zeros(0, device=device)
        files = student_files(folder, CONFIG, CHECKPOINT)
        with safe_loader():
            self.inferencer = BoxInferencer(*map(str, files), device, det_model='whole_image')
        meta = self.inferencer.model.dataset_meta
        self.keypoint_names = [name for _, name in sorted(meta['keypoint_id2name'].items())]
        self.skeleton = [list(map(int, link)) for link in meta['skeleton_links']]

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image, see :class:`Engine`."""
        if boxes is not None and len(boxes) == 0:
            return []
        given = {} if boxes is None else dict(bboxes=[boxes])
        (result,) = self.inferencer([image], **given)
        return result['predictions'][0]


class OnnxEngine:
    """A student that was exported with its decoder, in onnxruntime.

    Args:
        folder: Where the graph is.
        name: Name of its file.

    Raises:
        UserError: If the graph is missing or does not give keypoints, or onnxruntime is missing.
    """

    def __init__(self, folder: Path, name: str):
        (file,) = student_files(folder, name)
        try:
            from ..onnx_pose import OnnxPose
        except ImportError as error:
            raise UserError(
                f'--onnx needs onnxruntime ({error}): pip install onnxruntime'
            ) from None
        try:
            self.pose = OnnxPose(file)
        except ValueError as error:
            raise UserError(str(error)) from None
        self.keypoint_names, self.skeleton = self.pose.keypoint_names, self.pose.skeleton

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
            for keypoints, scores, box in zip(*self.pose(image, boxes), boxes, strict=True)
        ]
