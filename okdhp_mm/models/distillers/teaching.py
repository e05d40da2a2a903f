"""Distillation terms: losses between the heatmaps of teachers and students."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.config import ConfigDict
from mmengine.utils import is_seq_of
from mmpose.registry import MODELS
from torch import Tensor

from ...errors import UserError
from ...structures import ENSEMBLE, BranchOutputs, NetworkSpec, Targets, distributions
from .terms import BRANCHES, Term

ALL = 'all'
MEAN = 'mean'
EMA = 'ema'
MADE_OF_BRANCHES = (ENSEMBLE, MEAN, EMA)
"""Teachers that are computed from the branches, so every model can use them."""


@dataclass(frozen=True)
class TeacherStudentPair:
    """Teacher and the students that learn from it.

    Attributes:
        teacher: Heatmaps of the teacher, (B, K, H, W).
        students: Heatmaps of the students, (n, B, K, H, W).
        factor: Factor of the loss between them.
    """

    teacher: Tensor
    students: Tensor
    factor: float = 1.0


class Teaching(Term):
    """Base class of distillation terms: sum of the losses between teachers and students.

    Subclasses select the pairs of teachers and students.

    Args:
        loss: Config of the loss. A loss of this package is called as
            ``loss(students (n, B, K, H, W), teacher (B, K, H, W), weights (B, K))`` and sums over
            n. A loss of mmpose is called once for each of the n students. If maps consist of
            several distributions, the losses of the distributions are added. The loss decides
            whether the teacher gets a gradient. With the losses of mmpose it does.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.
    """

    def __init__(
        self, loss: ConfigDict | dict | None = None, loss_weight: float = 1.0, schedule=None
    ):
        super().__init__(schedule)
        self._loss_config = loss or dict(type='KLHeatmapLoss')
        self.loss = MODELS.build(self._loss_config)
        self.loss_weight = loss_weight

    def setup(self, spec: NetworkSpec) -> None:
        """Set the arguments of the loss that depend on the network, unless its config sets them."""
        if spec.kl_defaults and type(self.loss) is MODELS.get('KLHeatmapLoss'):
            self.loss = MODELS.build({**spec.kl_defaults, **self._loss_config})

    @abstractmethod
    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:
        """Yield the pairs of teachers and students of a batch."""

    @property
    def teachers_learn(self) -> bool:
        """Return whether the gradient of the loss reaches the teacher."""
        return not getattr(self.loss, 'detach_target', False)

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        return self.loss_weight * sum(
            pair.factor * self._distance(students, teacher, targets.weights)
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
        return sum(self.loss(student, teacher, weights) for student in students)


@MODELS.register_module()
class DistillTerm(Teaching):
    """Distillation from one teacher to several students.

    OKDHP and ONE: the ensemble teaches all branches. FFL: the mean of the branches teaches their
    fusion, and the fusion teaches the branches. MCL-OKD: the ensemble teaches one branch.

    Args:
        teacher: 'ensemble', 'mean' (mean of the branches' final heatmaps), 'ema' (mean of those of
            the EMA copy, which overfits later and changes slowly), or the name of the model's
            teacher, such as 'frozen', see :mod:`~okdhp_mm.models.teachers`.
        students: 'all' (every stage of trunk and branches, the default), 'branches' (every stage
            of the branches), 'ensemble', or the indices of some branches.
        loss: See :class:`Teaching`.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If a teacher or student does not exist, or a teacher would teach itself.
    """

    def __init__(
        self,
        teacher: str = ENSEMBLE,
        students: str | Sequence[int] = ALL,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        super().__init__(loss, loss_weight, schedule)
        named = (ALL, BRANCHES, ENSEMBLE)
        indices = is_seq_of(students, int) and len(students) > 0
        if students not in named if isinstance(students, str) else not indices:
            raise UserError(
                f'DistillTerm: students={students!r} is not one of {named}, nor indices of '
                'branches. Set one of these, or a list such as [0].'
            )
        if teacher == students:
            raise UserError(
                f'DistillTerm: the {teacher} would teach itself. Choose other students.'
            )
        self.teacher = teacher
        self.students = students
        fields = {ENSEMBLE: {ENSEMBLE}, MEAN: set(), EMA: {EMA}}
        ensemble = {ENSEMBLE} if students == ENSEMBLE else set()
        self.requires = frozenset(fields.get(teacher, {'teacher'}) | ensemble)

    def setup(self, spec: NetworkSpec) -> None:  # noqa: D102
        super().setup(spec)
        if self.teacher not in MADE_OF_BRANCHES:
            self._check_teacher(spec)
        elif spec.branches == 1 and self.teacher != EMA:
            raise UserError(
                f'DistillTerm: teacher={self.teacher!r} of one branch is this branch. It would '
                'teach itself. Set branches=2 or more.'
            )
        if isinstance(self.students, str):
            return
        missing = [m for m in self.students if m not in range(spec.branches)]
        if missing:
            raise UserError(
                f'DistillTerm: students={list(self.students)}: branches {missing} do not exist; '
                f'valid are 0 to {spec.branches - 1}.'
            )

    def _check_teacher(self, spec: NetworkSpec) -> None:
        teachers = MADE_OF_BRANCHES + ((spec.teacher,) if spec.teacher else ())
        if self.teacher not in teachers:
            example = "model.teacher=dict(type='FrozenTeacher', config=..., checkpoint=...)"
            raise UserError(
                f'DistillTerm: teacher={self.teacher!r} is not one of {teachers}. To use a teacher '
                f"outside of the branches, set it, e.g. {example} for teacher='frozen'."
            )

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.students == ENSEMBLE or (self.teacher == ENSEMBLE and self.teachers_learn)

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        teacher = self._teacher_of(outputs)
        if self.students == ALL:
            students = outputs.all_stages
        elif self.students == BRANCHES:
            students = stages_of(outputs, range(len(outputs.heatmaps)))
        elif self.students == ENSEMBLE:
            students = outputs.ensemble[None]
        else:
            students = stages_of(outputs, self.students)
        yield TeacherStudentPair(teacher, students)

    def _teacher_of(self, outputs: BranchOutputs) -> Tensor:
        if self.teacher == ENSEMBLE:
            return outputs.ensemble
        if self.teacher == MEAN:
            return outputs.final_heatmaps.mean(0)
        return outputs.ema.mean(0) if self.teacher == EMA else outputs.teacher


@MODELS.register_module()
class MutualTerm(Teaching):
    """Mutual learning: every branch learns from every other branch.

    The term is the mean over the teachers of a branch, summed over the branches that learn. DML
    (Zhang et al., CVPR 2018, https://arxiv.org/abs/1706.00384) trains separate networks. Here
    they are branches with a shared trunk. In PCL (Wu & Gong, AAAI 2021,
    https://arxiv.org/abs/2006.04147), the EMA copies of the other branches teach instead.

    Args:
        by: Teachers: the 'branches' or those of the EMA copy, 'ema'.
        loss: See :class:`Teaching`.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``by`` has another value, or the model has only one branch.
    """

    def __init__(
        self,
        by: str = BRANCHES,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        super().__init__(loss, loss_weight, schedule)
        if by not in (BRANCHES, EMA):
            raise UserError(
                f'MutualTerm: by={by!r} is neither {BRANCHES!r} nor {EMA!r}. Set one of them.'
            )
        self.by = by
        self.requires = frozenset({EMA} if by == EMA else ())

    def setup(self, spec: NetworkSpec) -> None:  # noqa: D102
        super().setup(spec)
        if spec.branches < 2:
            raise UserError(
                'MutualTerm: branches=1, but one branch has no other to learn from. Set branches=2 '
                'or more.'
            )

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        branches = range(len(outputs.heatmaps))
        teachers = outputs.ema if self.by == EMA else outputs.final_heatmaps
        for m, teacher in enumerate(teachers):
            others = stages_of(outputs, [other for other in branches if other != m])
            yield TeacherStudentPair(teacher, others, 1 / (len(branches) - 1))


@MODELS.register_module()
class PeerDistillTerm(Teaching):
    """Distillation with one teacher per branch, computed by the aggregator.

    OKDDip (Chen et al., AAAI 2020, https://arxiv.org/abs/1912.00350), see
    :class:`~okdhp_mm.models.aggregators.PeerAttention`. The aggregator gets a gradient from this
    term only if the loss does not detach the teacher (``detach_target=False``).
    """

    requires = frozenset({'peer_targets'})

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.teachers_learn

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        for m, teacher in enumerate(outputs.peer_targets):
            yield TeacherStudentPair(teacher, stages_of(outputs, [m]))


def stages_of(outputs: BranchOutputs, branches: Sequence[int]) -> Tensor:
    """Stack every stage of some branches, (n, B, K, H, W)."""
    return torch.stack([stage for m in branches for stage in outputs.heatmaps[m]])
