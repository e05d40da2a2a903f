"""The plain mean of the branches."""

from __future__ import annotations

from mmpose.registry import MODELS

from ...structures import BranchOutputs, Targets
from .base import Aggregator


@MODELS.register_module()
class MeanAggregator(Aggregator):
    """Every branch counts the same: the mean ensemble, without parameters.

    One branch alone is its own mean: the stock student, trained with whatever else a method has.
    """

    min_branches = 1

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Mean of the final heatmaps over the branches."""
        return outputs.aggregated(outputs.finals.mean(0))
