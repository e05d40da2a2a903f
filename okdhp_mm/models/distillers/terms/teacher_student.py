"""Base class of the terms in which heatmaps learn from heatmaps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import Tensor

from ....structures import BranchOutputs, NetworkSpec, Targets, distributions, sum_of
from .base import Term


@dataclass(frozen=True)
class TeacherStudentPair:
    """Teacher and the students that learn from it.

    Attributes:
        teacher: Heatmaps of the teacher, (B, K, H, W).
        students: Heatmaps of the students, (n, B, K, H, W).
        factor: Factor of the loss between them.
        weights: Keypoint weights, (B, K); None for those of the labels.
    """

    teacher: Tensor
    students: Tensor
    factor: float = 1.0
    weights: Tensor | None = None


class TeacherStudentTerm(Term):
    """Base class of distillation terms: sum of the losses between teachers and students.

    Subclasses select the pairs of teachers and students.

    Args:
        spec: See :class:`Term`.
        loss: Config of the loss. Default: ``dict(type='KLHeatmapLoss')``, with the network's
            defaults. A loss of this package is called as
            ``loss(students (n, B, K, H, W), teacher (B, K, H, W), weights (B, K))`` and sums over
            n. A loss of mmpose is called once for each of the n students. If maps consist of
            several distributions, the losses of the distributions are added. The loss decides
            whether the teacher gets a gradient. With the losses of mmpose it does.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        super().__init__(spec, schedule)
        loss = loss or dict(type='KLHeatmapLoss')
        defaults = spec.kl_defaults if is_kl(loss) else {}
        self.loss = MODELS.build({**defaults, **loss})
        self.loss_weight = loss_weight

    @abstractmethod
    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:
        """Yield the pairs of teachers and students of a batch."""

    @property
    def trains_teacher(self) -> bool:
        """Return whether the gradient of the loss reaches the teacher."""
        return not getattr(self.loss, 'detach_target', False)

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        return self.loss_weight * sum_of(
            pair.factor
            * self._distance(
                students, teacher, targets.weights if pair.weights is None else pair.weights
            )
            for pair in self.pairs(outputs)
            for students, teacher in zip(
                distributions(pair.students, outputs.bins),
                distributions(pair.teacher, outputs.bins),
                strict=True,
            )
        )

    def _distance(self, students: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
        if getattr(self.loss, 'batched', False):
            return self.loss(students, teacher, weights)
        return sum_of(self.loss(student, teacher, weights) for student in students)


def is_kl(loss: dict) -> bool:
    """Return whether this is the config of a ``KLHeatmapLoss``."""
    kind = loss.get('type')
    return (MODELS.get(kind) if isinstance(kind, str) else kind) is MODELS.get('KLHeatmapLoss')


def stages_of(outputs: BranchOutputs, branches: Sequence[int]) -> Tensor:
    """Stack every stage of some branches, (n, B, K, H, W)."""
    return torch.stack([stage for m in branches for stage in outputs.heatmaps[m]])
