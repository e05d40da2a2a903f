"""Term in which the branches learn from unlabeled images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import Tensor

from ....structures import BranchOutputs, NetworkSpec, Targets
from .teacher_student import TeacherStudentPair, TeacherStudentTerm

TEMPERATURE = 0.1


@MODELS.register_module()
class UnlabeledTerm(TeacherStudentTerm):
    """Consistency on unlabeled images: each branch learns the teacher's maps on its hard view.

    It is summed over the branches and averaged over all unlabeled keypoints of the batch, with a
    weight of 0 for those that the teacher is not sure about. It is 0 for a batch without unlabeled
    images. ``model.unlabeled`` sets the teacher and the views, see
    :class:`~okdhp_mm.models.unlabeled.UnlabeledTeaching`.

    Args:
        spec: See :class:`Term`.
        loss: See :class:`TeacherStudentTerm`. Default: ``KLHeatmapLoss`` at temperature 0.1, which
            compares peaks more than background; for SimCC at the temperature of the labels.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.
    """

    requires = frozenset({'unlabeled'})

    def __init__(
        self,
        spec: NetworkSpec,
        loss: ConfigDict | dict | None = None,
        loss_weight: float = 1.0,
        schedule=None,
    ):
        default = dict(temperature=TEMPERATURE) | spec.kl_defaults
        loss = loss or dict(type='KLHeatmapLoss', **default)
        super().__init__(spec, loss, loss_weight, schedule)

    @property
    def is_distillation(self) -> bool:
        """Return False: the log compares gradients on the labeled images only."""
        return False

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        if outputs.unlabeled is None:
            return outputs.final_heatmaps.new_zeros(())
        return super().value(outputs, targets)

    def pairs(self, outputs: BranchOutputs) -> Iterator[TeacherStudentPair]:  # noqa: D102
        unlabeled = outputs.unlabeled
        assert unlabeled is not None  # see `value`
        grid = zip(unlabeled.heatmaps, unlabeled.teachers, unlabeled.weights, strict=True)
        for stages, teacher, weights in grid:
            yield TeacherStudentPair(teacher, torch.stack(stages), weights=weights)
