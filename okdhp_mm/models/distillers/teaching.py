"""The terms in which heatmaps teach heatmaps."""

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
"""Teachers of which every model can have one."""


@dataclass(frozen=True)
class Lesson:
    """Who teaches whom.

    Attributes:
        teacher: (B, K, H, W).
        students: (n, B, K, H, W).
        factor: How much it counts.
    """

    teacher: Tensor
    students: Tensor
    factor: float = 1.0


class Teaching(Term):
    """A sum of lessons, each of which is a loss between heatmaps; a subclass says which.

    Args:
        loss: Config of the loss. One of this package is called as
            ``loss(students (n, B, K, H, W), teacher (B, K, H, W), weights (B, K))`` and sums over
            n; one of the host's once for each of the n. Maps that consist of several distributions
            are compared one by one, and the values added. Whether the teacher learns as well is
            the loss's own choice; those of the host let it.
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
        """Give the loss what the network knows and its config leaves open."""
        if spec.kl_defaults and type(self.loss) is MODELS.get('KLHeatmapLoss'):
            self.loss = MODELS.build({**spec.kl_defaults, **self._loss_config})

    @abstractmethod
    def lessons(self, outputs: BranchOutputs) -> Iterator[Lesson]:
        """The lessons of a batch."""

    @property
    def teachers_learn(self) -> bool:
        """Whether the gradient of the loss reaches the teacher."""
        return not getattr(self.loss, 'detach_target', False)

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        return self.loss_weight * sum(
            lesson.factor * self._distance(students, teacher, targets.weights)
            for lesson in self.lessons(outputs)
            for students, teacher in zip(
                distributions(lesson.students, outputs.bins),
                distributions(lesson.teacher, outputs.bins),
                strict=True,
            )
        )

    def _distance(self, students: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
        if getattr(self.loss, 'takes_many', False):
            return self.loss(students, teacher, weights)
        return sum(self.loss(student, teacher, weights) for student in students)


@MODELS.register_module()
class Teach(Teaching):
    """One teaches many.

    OKDHP and ONE: the ensemble teaches all. FFL: the mean of the branches teaches their fusion,
    which teaches the branches. MCL-OKD: the ensemble teaches one branch.

    Args:
        teacher: 'ensemble'; or of the branches' final heatmaps the 'mean', or the mean of those
            of the EMA copy ('ema'), which neither overfits as fast nor changes from step to step;
            or the name of the model's own teacher, such as 'frozen', see
            :mod:`~okdhp_mm.models.teachers`.
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
                f'Teach: students={students!r} is not one of {named}, nor indices of branches.'
            )
        if teacher == students:
            raise UserError(f'Teach: the {teacher} would teach itself; name other students.')
        self.teacher = teacher
        self.students = students

    @property
    def needs_ema(self) -> bool:  # noqa: D102
        return self.teacher == EMA

    def setup(self, spec: NetworkSpec) -> None:  # noqa: D102
        super().setup(spec)
        if self.teacher not in MADE_OF_BRANCHES:
            self._check_teacher(spec)
        elif spec.branches == 1 and self.teacher != EMA:
            raise UserError(
                f'Teach: teacher={self.teacher!r} of one branch is this branch, which would teach '
                'itself; set branches=2 or more.'
            )
        if isinstance(self.students, str):
            return
        missing = [m for m in self.students if m not in range(spec.branches)]
        if missing:
            raise UserError(
                f'Teach: students={list(self.students)}: branches {missing} do not exist; valid '
                f'are 0 to {spec.branches - 1}.'
            )

    def _check_teacher(self, spec: NetworkSpec) -> None:
        teachers = MADE_OF_BRANCHES + ((spec.teacher,) if spec.teacher else ())
        if self.teacher not in teachers:
            example = "model.teacher=dict(type='FrozenTeacher', config=..., checkpoint=...)"
            raise UserError(
                f'Teach: teacher={self.teacher!r} is not one of {teachers}. A teacher outside of '
                f"the branches has to be set, e.g. {example} for teacher='frozen'."
            )

    @property
    def needs_teacher(self) -> bool:  # noqa: D102
        return self.teacher not in MADE_OF_BRANCHES

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.students == ENSEMBLE or (self.teacher == ENSEMBLE and self.teachers_learn)

    def lessons(self, outputs: BranchOutputs) -> Iterator[Lesson]:  # noqa: D102
        teacher = self._teacher_of(outputs)
        if self.students == ALL:
            students = outputs.all_stages
        elif self.students == BRANCHES:
            students = stages_of(outputs, range(len(outputs.heatmaps)))
        elif self.students == ENSEMBLE:
            students = outputs.ensemble[None]
        else:
            students = stages_of(outputs, self.students)
        yield Lesson(teacher, students)

    def _teacher_of(self, outputs: BranchOutputs) -> Tensor:
        if self.teacher == ENSEMBLE:
            return outputs.ensemble
        if self.teacher == MEAN:
            return outputs.finals.mean(0)
        return outputs.ema.mean(0) if self.teacher == EMA else outputs.teacher


@MODELS.register_module()
class Mutual(Teaching):
    """Every branch teaches every other: the mean over the others, summed over who is taught.

    DML (Zhang et al., CVPR 2018, https://arxiv.org/abs/1706.00384), where the networks share
    nothing; here they are branches. PCL (Wu & Gong, AAAI 2021, https://arxiv.org/abs/2006.04147)
    lets the others' averaged weights (EMA) teach instead.

    Args:
        by: 'branches' as they are, or those of the EMA copy, 'ema'.
        loss: See :class:`Teaching`.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``by`` is neither, or there is nobody else to learn from.
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
            raise UserError(f'Mutual: by={by!r} is neither {BRANCHES!r} nor {EMA!r}.')
        self.by = by

    @property
    def needs_ema(self) -> bool:  # noqa: D102
        return self.by == EMA

    def setup(self, spec: NetworkSpec) -> None:  # noqa: D102
        super().setup(spec)
        if spec.branches < 2:
            raise UserError(
                'Mutual: one branch has no other to learn from; set branches=2 or more.'
            )

    def lessons(self, outputs: BranchOutputs) -> Iterator[Lesson]:  # noqa: D102
        branches = range(len(outputs.heatmaps))
        teachers = outputs.ema if self.by == EMA else outputs.finals
        for m, teacher in enumerate(teachers):
            others = stages_of(outputs, [other for other in branches if other != m])
            yield Lesson(teacher, others, 1 / (len(branches) - 1))


@MODELS.register_module()
class TeachOwn(Teaching):
    """Each branch has a teacher of its own, as the aggregator makes them.

    OKDDip (Chen et al., AAAI 2020, https://arxiv.org/abs/1912.00350), see
    :class:`~okdhp_mm.models.aggregators.PeerAttention`. The aggregator learns by what it makes
    only if the loss lets it (``detach_target=False``).
    """

    needs_mixtures = True

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.teachers_learn

    def lessons(self, outputs: BranchOutputs) -> Iterator[Lesson]:  # noqa: D102
        for m, teacher in enumerate(outputs.mixtures):
            yield Lesson(teacher, stages_of(outputs, [m]))


def stages_of(outputs: BranchOutputs, branches: Sequence[int]) -> Tensor:
    """Every stage of some branches, (n, B, K, H, W)."""
    return torch.stack([stage for m in branches for stage in outputs.heatmaps[m]])
