"""Term in which the branches learn from unlabeled images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import Tensor

from ....errors import UserError
from ....structures import KEYPOINTS, BranchOutputs, NetworkSpec, Targets, sum_of
from .teacher_student import TeacherStudentPair, TeacherStudentTerm

TEMPERATURE = 0.1


@MODELS.register_module()
class UnlabeledTerm(TeacherStudentTerm):
    """Consistency on unlabeled images: each branch learns from the teacher on its hard view.

    With ``model.unlabeled.target='keypoints'``, this is the student's own loss with the teacher's
    keypoints as labels; with ``'maps'``, it is a loss between maps. It is summed over the branches
    and averaged over all unlabeled keypoints of the batch, with a weight of 0 for those that the
    teacher is not sure about. It is 0 for a batch without unlabeled images.
    ``model.unlabeled`` sets the teacher and the views, see
    :class:`~okdhp_mm.models.unlabeled.UnlabeledTeaching`.

    Args:
        spec: See :class:`Term`.
        loss: Loss between maps, see :class:`TeacherStudentTerm`. Default: ``KLHeatmapLoss`` at
            temperature 0.1, which compares peaks more than background; for SimCC at the temperature
            of the labels.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If a loss between maps is given, but keypoints are learned.
    """

    requires = frozenset({'unlabeled'})

    def __init__(
        self,
        spec: NetworkSpec,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        if loss and spec.unlabeled == KEYPOINTS:
            raise UserError(
                f'UnlabeledTerm: loss={dict(loss)} compares maps, but model.unlabeled.target='
                f"{KEYPOINTS!r}. Set model.unlabeled.target='maps', or remove the loss."
            )
        default = dict(temperature=TEMPERATURE) | spec.kl_defaults
        loss = loss or dict(type='KLHeatmapLoss', **default)
        super().__init__(spec, loss, loss_weight, schedule)

    @property
    def is_distillation(self) -> bool:
        """Return False: the log compares gradients on the labeled images only."""
        return False

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        unlabeled = outputs.unlabeled
        if unlabeled is None:
            return outputs.final_heatmaps.new_zeros(())
        if self.spec.unlabeled != KEYPOINTS:
            return super().value(outputs, targets)
        branches = zip(
            unlabeled.heatmaps, targets.criteria, unlabeled.teachers, unlabeled.weights, strict=True
        )
        return self.loss_weight * sum_of(
            criterion(stage, labels, weights)
            for stages, criteria, labels, weights in branches
            for stage, criterion in zip(stages, criteria, strict=True)
        )

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        unlabeled = outputs.unlabeled
        assert unlabeled is not None  # see `value`
        grid = zip(unlabeled.heatmaps, unlabeled.teachers, unlabeled.weights, strict=True)
        for stages, teacher, weights in grid:
            yield TeacherStudentPair(teacher, torch.stack(stages), weights=weights)
