"""Mean of the branches."""

from __future__ import annotations

from mmpose.registry import MODELS

from ...structures import BranchOutputs, Targets
from .base import Aggregator


@MODELS.register_module()
class MeanAggregator(Aggregator):
    """Mean ensemble: all branches have the same weight. It has no parameters.

    With one branch, the ensemble is that branch: the stock student, with the other parts of a
    method.
    """

    min_branches = 1

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Add the mean of the final heatmaps over the branches."""
        return outputs.aggregated(outputs.final_heatmaps.mean(0))
