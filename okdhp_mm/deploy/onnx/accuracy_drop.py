"""Drop in accuracy of a graph against another one of the same student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor

from ...data.files import check_data
from ...errors import UserError
from ...evaluation.evaluator_config import build_evaluator
from ..progress import progress
from .verify import GraphSession


@dataclass(frozen=True)
class AccuracyDrop:
    """Differences between the poses of two graphs.

    Attributes:
        moved: Distances of the keypoints on crops in pixels of the input, (N, K).
        scores: Each metric of both graphs on the test data, or None.
        why: Reason for missing scores.
    """

    moved: np.ndarray
    scores: Mapping[str, tuple[float, float]] | None = None
    why: str = ''

    def __str__(self):
        median, most = np.quantile(self.moved, (0.5, 0.95))
        moved = (
            f'on {len(self.moved)} crops half of the keypoints move by at most {median:.2g} px, '
            f'95 % by at most {most:.2g} px'
        )
        if self.scores is None:
            return f'{moved}; no metric: {self.why}'
        changes = (f'{name} {a:.4g} -> {b:.4g}' for name, (a, b) in self.scores.items())
        return f'{", ".join(changes)}, without flip test; {moved}'


def measure_drop(
    student: BasePoseEstimator, model: bytes, other: bytes, crops: Tensor
) -> AccuracyDrop:
    """Compare two graphs, on crops and, where the config's test data are there, by its metric.

    Args:
        student: The stock estimator that was exported.
        model: A serialized graph.
        other: Another one.
        crops: Normalized inputs, (N, 3, H, W).
    """
    graphs = [GraphSession(student, each) for each in (model, other)]
    places = [graph.poses(crops)[0] for graph in graphs]
    moved = np.linalg.norm(places[0] - places[1], axis=-1)
    try:
        check_data(student.cfg, 'test')
    except UserError as error:
        return AccuracyDrop(moved, why=str(error))
    before, after = (metric(student, graph) for graph in graphs)
    return AccuracyDrop(moved, {name: (before[name], after[name]) for name in before})


@torch.no_grad()
def metric(student: BasePoseEstimator, graph: GraphSession) -> dict[str, float]:
    """Return the metrics of a graph on the test data of its student's config, without a flip test.

    Args:
        student: The stock estimator that was exported.
        graph: The session that finds the poses in crops.
    """
    loader = Runner.build_dataloader(student.cfg.test_dataloader)
    evaluator = build_evaluator(student.cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    with progress(loader, 'test data', len(loader)) as batches:
        for batch in batches:
            data = student.data_preprocessor(batch, training=False)
            samples = data['data_samples']
            found = [
                InstanceData(keypoints=keypoints[None], keypoint_scores=scores[None])
                for keypoints, scores in zip(*graph.poses(data['inputs']), strict=True)
            ]
            student.add_pred_to_datasample(found, None, samples)
            evaluator.process(samples, batch)
    return evaluator.evaluate(len(loader.dataset))
