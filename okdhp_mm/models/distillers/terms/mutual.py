"""Term in which the branches learn from each other."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import ConfigDict
from mmpose.registry import MODELS

from ....errors import UserError, check_choice
from ....structures import BranchOutputs, NetworkSpec
from .base import BRANCHES
from .teacher_student import TeacherStudentPair, TeacherStudentTerm, stages_of

EMA = 'ema'


@MODELS.register_module()
class MutualTerm(TeacherStudentTerm):
    """Mutual learning: every branch learns from every other branch.

    The term is the mean over the teachers of a branch, summed over the branches that learn. DML
    (Zhang et al., CVPR 2018, https://arxiv.org/abs/1706.00384) trains separate networks. Here
    they are branches with a shared trunk. In PCL (Wu & Gong, AAAI 2021,
    https://arxiv.org/abs/2006.04147), the EMA copies of the other branches teach instead.

    Args:
        by: Teachers: the 'branches' or those of the EMA copy, 'ema'.
        spec: See :class:`Term`.
        loss: See :class:`TeacherStudentTerm`.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``by`` has another value, or the model has only one branch.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        by: str = BRANCHES,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        super().__init__(spec, loss, loss_weight, schedule)
        check_choice('MutualTerm: by', by, (BRANCHES, EMA))
        if spec.branches < 2:
            raise UserError(
                'MutualTerm: branches=1, but one branch has no other to learn from. Set branches=2 '
                'or more.'
            )
        self.by = by
        self.requires = frozenset({EMA} if by == EMA else ())

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        branches = range(len(outputs.heatmaps))
        teachers = outputs.ema if self.by == EMA else outputs.final_heatmaps
        assert teachers is not None  # see `requires`
        for m, teacher in enumerate(teachers):
            others = stages_of(outputs, [other for other in branches if other != m])
            yield TeacherStudentPair(teacher, others, 1 / (len(branches) - 1))
