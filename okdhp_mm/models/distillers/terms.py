"""The words that distillation methods are made of: each is one term of the total loss."""

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
    """One named term of the loss.

    Args:
        schedule: Config of a function of the progress in :mod:`.schedules` that the term is
            multiplied with; None keeps it constant.

    Attributes:
        needs_head_features: Whether :attr:`BranchOutputs.head_features` is read.
        needs_mixtures: The same of :attr:`BranchOutputs.mixtures`.
        needs_ema: The same of :attr:`BranchOutputs.ema`.
        needs_teacher: The same of :attr:`BranchOutputs.teacher`.
    """

    needs_head_features = False
    needs_mixtures = False
    needs_ema = False
    needs_teacher = False

    def __init__(self, schedule: ConfigDict | dict | None = None):
        super().__init__()
        self.schedule = TASK_UTILS.build(schedule) if schedule else None

    def setup(self, spec: NetworkSpec) -> None:
        """Build and check what depends on the network; once, when it is built.

        Raises:
            UserError: If the term does not fit the network.
        """

    def check_batch(self, batch_size: int | None) -> None:
        """Check what depends on the data loader; once, when a training starts.

        Raises:
            UserError: If batches of this size teach nothing.
        """

    @abstractmethod
    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """The unscheduled term, a scalar."""

    @property
    def trains_aggregator(self) -> bool:
        """Whether the term's gradient reaches the aggregator's parameters."""
        return False

    @property
    def distils(self) -> bool:
        """Whether heatmaps learn from heatmaps by it, instead of from the ground truth."""
        return True

    def factor(self, progress: Tensor) -> Tensor:
        """How much the schedule lets the term count, a scalar."""
        return torch.ones_like(progress) if self.schedule is None else self.schedule(progress)

    def forward(self, outputs: BranchOutputs, targets: Targets, progress: Tensor) -> Tensor:
        """The term at this point of the training, a scalar."""
        value = self.value(outputs, targets)
        return value if self.schedule is None else value * self.schedule(progress)


@MODELS.register_module()
class Supervise(Term):
    """The student's own loss against the ground truth, summed over what is supervised.

    The loss module is the one of the stock head's config, so a branch is supervised exactly as
    the student alone would be.

    Args:
        of: 'branches' (every stage of every branch, and those of the trunk once) or 'ensemble'.
        loss_weight: Factor of the term.
        schedule: See :class:`Term`.

    Raises:
        UserError: If ``of`` is neither.
    """

    def __init__(self, of: str, loss_weight: float = 1.0, schedule=None):
        super().__init__(schedule)
        if of not in (BRANCHES, ENSEMBLE):
            raise UserError(f'Supervise: of={of!r} is neither {BRANCHES!r} nor {ENSEMBLE!r}.')
        self.of = of
        self.loss_weight = loss_weight

    @property
    def trains_aggregator(self) -> bool:  # noqa: D102
        return self.of == ENSEMBLE

    @property
    def distils(self) -> bool:  # noqa: D102
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
