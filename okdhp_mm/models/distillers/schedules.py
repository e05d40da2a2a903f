"""Schedules of the weight of a term: pure functions of the training progress.

The progress is a scalar tensor from 0 (start) to 1 (end of the last epoch). As a tensor, it can
change every step without a host sync and without a recompilation under ``torch.compile``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmpose.registry import TASK_UTILS
from torch import Tensor

from ...errors import UserError


@TASK_UTILS.register_module()
@dataclass(frozen=True)
class GaussianRampUp:
    """Ramp-up of OKDHP, from temporal ensembling (https://arxiv.org/abs/1610.02242).

    Args:
        end: Share of the training, in (0, 1], after which the weight is 1. The authors use 60
            of 150 epochs by default (0.4) and 90 (0.6) in their hourglass template.

    Source: https://github.com/zhengli97/OKDHP (lib/core/function_okd.py). Difference: there the
    weight changes once per epoch, here every step.
    """

    end: float = 0.4

    def __post_init__(self):
        if not 0 < self.end <= 1:
            raise UserError(f'GaussianRampUp: end={self.end} must be a share in (0, 1].')

    def __call__(self, progress: Tensor) -> Tensor:
        """Return ``exp(-5 (1 - min(t, end) / end)^2)``: 0.0067 at the start, 1 from ``end`` on."""
        return (-5 * (1 - progress / self.end).clamp(min=0) ** 2).exp()
