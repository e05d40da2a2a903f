"""Terms in which a teacher is distilled into the branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmengine.config import ConfigDict
from mmengine.utils import is_seq_of
from mmpose.registry import MODELS
from torch import Tensor

from ....errors import UserError
from ....structures import ENSEMBLE, BranchOutputs, NetworkSpec
from .base import BRANCHES
from .teacher_student import TeacherStudentPair, TeacherStudentTerm, stages_of

ALL = 'all'
MEAN = 'mean'
EMA = 'ema'
MADE_OF_BRANCHES = (ENSEMBLE, MEAN, EMA)
"""Teachers that are computed from the branches, so every model can use them."""


@MODELS.register_module()
class DistillTerm(TeacherStudentTerm):
    """Distillation from one teacher to several students.

    OKDHP and ONE: the ensemble teaches all branches. FFL: the mean of the branches teaches their
    fusion, and the fusion teaches the branches. MCL-OKD: the ensemble teaches one branch.

    Args:
        spec: See :class:`Term`.
        teacher: 'ensemble', 'mean' (mean of the branches' final heatmaps), 'ema' (mean of those of
            the EMA copy, which overfits later and changes slowly), or the name of the model's
            teacher, such as 'frozen', see :mod:`~okdhp_mm.models.teachers`.
        students: 'all' (every stage of trunk and branches, the default), 'branches' (every stage
            of the branches), 'ensemble', or the indices of some branches.
        loss: See :class:`TeacherStudentTerm`.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If a teacher or student does not exist, or a teacher would teach itself.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        teacher: str = ENSEMBLE,
        students: str | Sequence[int] = ALL,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        super().__init__(spec, loss, loss_weight, schedule)
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
        self._check_teacher()
        self._check_branches()
        fields = {ENSEMBLE: {ENSEMBLE}, MEAN: set(), EMA: {EMA}}
        ensemble = {ENSEMBLE} if students == ENSEMBLE else set()
        self.requires = frozenset(fields.get(teacher, {'teacher'}) | ensemble)

    def _check_teacher(self) -> None:
        spec = self.spec
        if spec.branches == 1 and self.teacher in (ENSEMBLE, MEAN):
            raise UserError(
                f'DistillTerm: teacher={self.teacher!r} of one branch is this branch. It would '
                'teach itself. Set branches=2 or more.'
            )
        teachers = MADE_OF_BRANCHES + ((spec.teacher,) if spec.teacher else ())
        if self.teacher not in teachers:
            example = "model.teacher=dict(type='FrozenTeacher', config=..., checkpoint=...)"
            raise UserError(
                f'DistillTerm: teacher={self.teacher!r} is not one of {teachers}. To use a teacher '
                f"outside of the branches, set it, e.g. {example} for teacher='frozen'."
            )

    def _check_branches(self) -> None:
        if isinstance(self.students, str):
            return
        missing = [m for m in self.students if m not in range(self.spec.branches)]
        if missing:
            raise UserError(
                f'DistillTerm: students={list(self.students)}: branches {missing} do not exist; '
                f'valid are 0 to {self.spec.branches - 1}.'
            )

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.students == ENSEMBLE or (self.teacher == ENSEMBLE and self.trains_teacher)

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        teacher = self._teacher_of(outputs)
        if self.students == ALL:
            students = outputs.all_stages
        elif self.students == BRANCHES:
            students = stages_of(outputs, range(len(outputs.heatmaps)))
        elif self.students == ENSEMBLE:
            assert outputs.ensemble is not None  # see `requires`
            students = outputs.ensemble[None]
        else:
            assert not isinstance(self.students, str)
            students = stages_of(outputs, self.students)
        made_of_branches = self.teacher in MADE_OF_BRANCHES
        weights = None if made_of_branches else outputs.teacher_weights
        yield TeacherStudentPair(teacher, students, weights=weights)

    def _teacher_of(self, outputs: BranchOutputs) -> Tensor:
        if self.teacher == MEAN:
            return outputs.final_heatmaps.mean(0)
        if self.teacher == ENSEMBLE:
            teacher = outputs.ensemble
        elif self.teacher == EMA:
            teacher = None if outputs.ema is None else outputs.ema.mean(0)
        else:
            teacher = outputs.teacher
        assert teacher is not None  # see `requires`
        return teacher


@MODELS.register_module()
class PeerDistillTerm(TeacherStudentTerm):
    """Distillation with one teacher per branch, computed by the aggregator.

    OKDDip (Chen et al., AAAI 2020, https://arxiv.org/abs/1912.00350), see
    :class:`~okdhp_mm.models.aggregators.PeerAttention`. The aggregator gets a gradient from this
    term only if the loss does not detach the teacher (``detach_target=False``).
    """

    requires = frozenset({'peer_targets'})

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.trains_teacher

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        assert outputs.peer_targets is not None  # see `requires`
        for m, teacher in enumerate(outputs.peer_targets):
            yield TeacherStudentPair(teacher, stages_of(outputs, [m]))
