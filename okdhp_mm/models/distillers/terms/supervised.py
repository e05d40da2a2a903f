"""Term that compares outputs with the labels."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor

from ....errors import check_choice
from ....structures import ENSEMBLE, BranchOutputs, NetworkSpec, Targets, sum_of
from .base import BRANCHES, Term


@MODELS.register_module()
class SupervisedTerm(Term):
    """Supervised term: the student's own loss against the ground truth, summed over the outputs.

    The loss module is the one of the stock head's config. So a branch is supervised exactly like
    the student alone.

    Args:
        spec: See :class:`Term`.
        of: Supervised outputs: 'branches' (every stage of every branch, and every stage of the
            trunk once) or 'ensemble'.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``of`` has another value.
    """

    def __init__(self, spec: NetworkSpec, of: str, loss_weight: float = 1.0, schedule=None):
        super().__init__(spec, schedule)
        check_choice('SupervisedTerm: of', of, (BRANCHES, ENSEMBLE))
        self.of = of
        self.requires = frozenset({ENSEMBLE} if of == ENSEMBLE else ())
        self.loss_weight = loss_weight

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.of == ENSEMBLE

    @property
    def is_distillation(self) -> bool:  # noqa: D102
        return False

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        if self.of == ENSEMBLE:
            assert outputs.ensemble is not None  # see `requires`
            pairs = [(outputs.ensemble, targets.criteria[0][-1])]
        else:
            grid = (outputs.trunk, *outputs.heatmaps)
            criteria = (targets.trunk_criteria, *targets.criteria)
            pairs = [
                pair
                for row, row_criteria in zip(grid, criteria, strict=True)
                for pair in zip(row, row_criteria, strict=True)
            ]
        return self.loss_weight * sum_of(
            criterion(heatmaps, targets.heatmaps, targets.weights) for heatmaps, criterion in pairs
        )
