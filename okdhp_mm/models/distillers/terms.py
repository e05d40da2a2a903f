"""Loss terms from which distillation methods are built."""

from __future__ import annotations

from abc import abstractmethod

import torch
from mmengine.config import ConfigDict
from mmpose.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from ...errors import UserError
from ...structures import ENSEMBLE, BranchOutputs, NetworkSpec, Targets

BRANCHES = 'branches'


class Term(nn.Module):
    """Named term of the total loss.

    Args:
        schedule: Config of a function of the progress in :mod:`.schedules`. The term is
            multiplied with its value; None for a constant weight.

    Attributes:
        requires: Optional fields of :class:`BranchOutputs` that the term reads.
    """

    requires: frozenset[str] = frozenset()

    def __init__(self, schedule: ConfigDict | dict | None = None):
        super().__init__()
        self.schedule = TASK_UTILS.build(schedule) if schedule else None

    def setup(self, spec: NetworkSpec) -> None:
        """Build and validate the parts that depend on the network. Called once, at construction.

        Raises:
            UserError: If the term does not fit the network.
        """

    def check_batch(self, batch_size: int | None) -> None:
        """Validate the batch size. Called once, when a training starts.

        Raises:
            UserError: If the term cannot learn from batches of this size.
        """

    @abstractmethod
    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """Compute the term without its schedule, a scalar."""

    @property
    def trains_aggregator(self) -> bool:
        """Return whether the term's gradient reaches the aggregator's parameters."""
        return False

    @property
    def is_distillation(self) -> bool:
        """Return whether this is a distillation term, not a supervised one."""
        return True

    def factor(self, progress: Tensor) -> Tensor:
        """Return the factor of the schedule, a scalar."""
        return torch.ones_like(progress) if self.schedule is None else self.schedule(progress)

    def forward(self, outputs: BranchOutputs, targets: Targets, progress: Tensor) -> Tensor:
        """Compute the term with its schedule, a scalar."""
        value = self.value(outputs, targets)
        return value if self.schedule is None else value * self.schedule(progress)


@MODELS.register_module()
class SupervisedTerm(Term):
    """Supervised term: the student's own loss against the ground truth, summed over the outputs.

    The loss module is the one of the stock head's config. So a branch is supervised exactly like
    the student alone.

    Args:
        of: Supervised outputs: 'branches' (every stage of every branch, and every stage of the
            trunk once) or 'ensemble'.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``of`` has another value.
    """

    def __init__(self, of: str, loss_weight: float = 1.0, schedule=None):
        super().__init__(schedule)
        if of not in (BRANCHES, ENSEMBLE):
            raise UserError(
                f'SupervisedTerm: of={of!r} is neither {BRANCHES!r} nor {ENSEMBLE!r}. '
                'Set one of them.'
            )
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
            pairs = [(outputs.ensemble, targets.criteria[0][-1])]
        else:
            grid = (outputs.trunk, *outputs.heatmaps)
            criteria = (targets.trunk_criteria, *targets.criteria)
            pairs = [
                pair
                for row, row_criteria in zip(grid, criteria, strict=True)
                for pair in zip(row, row_criteria, strict=True)
            ]
        return self.loss_weight * sum(
            criterion(heatmaps, targets.heatmaps, targets.weights) for heatmaps, criterion in pairs
        )
