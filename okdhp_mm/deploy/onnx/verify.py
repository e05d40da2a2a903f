"""Compare maps, keypoints and scores of an ONNX file with those of PyTorch on crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor

from ...datasets.synthetic import draw_figure
from ..inference.images import image_files, read_pictures
from .graph import DECODED, StudentGraph, map_names

TOLERANCE = 0.05
"""Pixels of the input that a keypoint may be off."""
MAP_TOLERANCE = 1e-3
"""Tolerance of maps and peaks, relative to their height. Rounding makes 1e-6 to 1e-5."""
ROUNDING = 1e-6
"""Least rounding, relative to the height of the maps: a graph that decodes rounds there too."""
MAX_AMBIGUOUS = 0.1
"""Warn if more than this share of keypoints is ambiguous (random weights: 0.02)."""
BATCH = 8
NUM_FIGURES = 16
MAX_PICTURES = 200
PERTURBATIONS = 8


@dataclass(frozen=True)
class ParityReport:
    """Differences between an ONNX file and PyTorch.

    Attributes:
        crops: Number of compared crops.
        maps: Greatest difference of the maps.
        height: Greatest magnitude of PyTorch's maps, to compare with.
        keypoints: Distances of the keypoints in pixels of the input, (N, K).
        ambiguous: Mask of the keypoints with two peaks so similar that rounding decides, (N, K).
        scores: Greatest difference of the keypoints' scores.
    """

    crops: int
    maps: float
    height: float
    keypoints: np.ndarray
    ambiguous: np.ndarray
    scores: float

    @property
    def max_distance(self) -> float:
        """Return the greatest distance of a keypoint that is not ambiguous."""
        return float(self.keypoints[~self.ambiguous].max(initial=0))

    @property
    def passed(self) -> bool:
        """Return whether rounding explains the differences.

        Maps that differ by more make ties of their own mistakes.
        """
        return bool(
            self.maps <= self._tolerance
            and self.scores <= self._tolerance
            and self.max_distance <= TOLERANCE
        )

    @property
    def _tolerance(self) -> float:
        return MAP_TOLERANCE * self.height

    def __str__(self):
        tied = f', without {self.ambiguous.sum()} ties' if self.ambiguous.any() else ''
        if self.ambiguous.mean() > MAX_AMBIGUOUS:
            tied += (
                f' of {self.ambiguous.size}, so that this says little of the keypoints: the '
                'student is hardly trained, or the pictures show no persons (--check-images)'
            )
        # Otherwise they say no more than the maps, because they are the peaks of the maps.
        wrong = f', scores by {self.scores:.2g}' if self.scores > self._tolerance else ''
        return (
            f'{self.crops} crops: maps differ by at most {self.maps:.2g} (peak {self.height:.3g}), '
            f'{(~self.ambiguous).sum()} keypoints by at most {self.max_distance:.2g} px'
            f'{tied}{wrong}'
        )


def crops_of(student: BasePoseEstimator, folder: str | None) -> Tensor:
    """Return normalized inputs as the student's own pipeline makes them, (N, 3, H, W).

    Args:
        student: A stock estimator with its config.
        folder: Folder of pictures of single persons, of which the first 200 are used whole; None
            draws figures.

    Raises:
        UserError: If no picture in the folder can be read.
    """
    pipeline = Compose(student.cfg.test_dataloader.dataset.pipeline)
    images = _drawn() if folder is None else check_pictures(Path(folder))
    samples = []
    for image in images:
        height, width = image.shape[:2]
        person = dict(bbox=np.array([[0, 0, width, height]], np.float32), bbox_score=np.ones(1))
        samples.append(pipeline(dict(img=image, **person, **student.dataset_meta)))
    return student.data_preprocessor(pseudo_collate(samples), training=False)['inputs']


def check_pictures(folder: Path) -> Iterator[np.ndarray]:
    """Yield those of the first 200 pictures in a folder that can be read.

    Raises:
        UserError: If there are none.
    """
    for picture in read_pictures(image_files(folder)[:MAX_PICTURES]):
        yield picture.image


class GraphSession:
    """A student's graph in onnxruntime.

    Args:
        student: The stock estimator that was exported.
        model: The serialized graph.
    """

    def __init__(self, student: BasePoseEstimator, model: bytes):
        # Here, so that the tools start where it is missing, and say so.
        import onnxruntime

        self.student = student
        self.session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
        self.names = [output.name for output in self.session.get_outputs()]

    def outputs(self, crops: Tensor) -> dict[str, np.ndarray]:
        """Return the outputs of the graph for N crops, by name."""
        parts = [self.session.run(None, {'input': b.numpy()}) for b in crops.split(BATCH)]
        return dict(zip(self.names, map(np.concatenate, zip(*parts, strict=True)), strict=True))

    def decoded(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints (N, K, 2) and scores (N, K) of its outputs, decoded if they are maps."""
        if DECODED[0] in outputs:
            keypoints, scores = (outputs[name] for name in DECODED)
            return keypoints, scores
        return stock_poses(self.student, [outputs[name] for name in map_names(self.student)])

    def poses(self, crops: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints (N, K, 2) in pixels of the input and scores (N, K) of N crops."""
        return self.decoded(self.outputs(crops))


@torch.no_grad()
def check_parity(student: BasePoseEstimator, model: bytes, crops: Tensor) -> ParityReport:
    """Compare a student and its ONNX graph.

    Args:
        student: The stock estimator that was exported.
        model: The serialized graph, with the maps among its outputs.
        crops: Normalized inputs, (N, 3, H, W).
    """
    stock, graph = StudentGraph(student, decode=False), GraphSession(student, model)
    parts = zip(*(stock.maps(batch) for batch in crops.split(BATCH)), strict=True)
    expected = [torch.cat(part).numpy() for part in parts]
    outputs = graph.outputs(crops)
    maps = [outputs[name] for name in stock.map_names]
    keypoints, scores = graph.decoded(outputs)
    reference, peaks = stock_poses(student, expected)
    difference = max(float(abs(a - b).max()) for a, b in zip(expected, maps, strict=True))
    height = max(float(abs(each).max()) for each in expected)
    rounding = max(difference, ROUNDING * height)
    return ParityReport(
        crops=len(crops),
        maps=difference,
        height=height,
        keypoints=np.linalg.norm(keypoints - reference, axis=-1),
        ambiguous=_ambiguous_keypoints(student, expected, reference, rounding),
        scores=float(abs(scores - peaks).max()),
    )


def stock_poses(
    student: BasePoseEstimator, maps: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Decode maps by mmpose: keypoints (N, K, 2) and scores (N, K)."""
    tensors = tuple(torch.from_numpy(each) for each in maps)
    instances = student.head.decode(tensors if len(tensors) > 1 else tensors[0])
    keypoints = np.concatenate([instance.keypoints for instance in instances])
    return keypoints, np.concatenate([instance.keypoint_scores for instance in instances])


def _ambiguous_keypoints(
    student: BasePoseEstimator, maps: Sequence[np.ndarray], keypoints: np.ndarray, rounding: float
) -> np.ndarray:
    """Return the mask of keypoints that differences like rounding would move, (N, K)."""
    rng = np.random.default_rng(0)
    ambiguous = np.zeros(keypoints.shape[:2], bool)
    for _ in range(PERTURBATIONS):
        perturbed = [
            each + rng.uniform(-2, 2, each.shape).astype(np.float32) * rounding for each in maps
        ]
        moved = np.linalg.norm(stock_poses(student, perturbed)[0] - keypoints, axis=-1)
        ambiguous |= moved > TOLERANCE
    return ambiguous


def _drawn() -> Iterator[np.ndarray]:
    for seed in range(NUM_FIGURES):
        yield draw_figure(np.random.default_rng(seed)).image
