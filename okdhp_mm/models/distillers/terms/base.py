"""Base class of loss terms."""

from __future__ import annotations

from abc import abstractmethod

import torch
from mmengine.config import ConfigDict
from mmpose.registry import TASK_UTILS
from torch import Tensor, nn

from ....structures import BranchOutputs, NetworkSpec, Targets

BRANCHES = 'branches'


class Term(nn.Module):
    """Named term of the total loss.

    Args:
        spec: Shapes and settings of the network. :class:`~okdhp_mm.models.distillers.Distiller`
            passes it, so it is not in the config of a term.
        schedule: Config of a function of the progress in :mod:`.schedules`. The term is
            multiplied with its value; None for a constant weight.

    Attributes:
        spec: The argument.
        requires: Optional fields of :class:`BranchOutputs` that the term reads.
    """

    requires: frozenset[str] = frozenset()

    def __init__(self, spec: NetworkSpec, schedule: ConfigDict | dict | None = None):
        super().__init__()
        self.spec = spec
        self.schedule = TASK_UTILS.build(schedule) if schedule else None

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
