"""The contract of an aggregator."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from ...structures import BranchOutputs


class Aggregator(BaseModule):
    """Fills the ensemble into the branches' outputs.

    Args:
        in_channels: Channels C of the trunk's shared feature.
        num_branches: M.
        num_keypoints: K.
    """

    def __init__(self, in_channels: int, num_branches: int, num_keypoints: int, init_cfg=None):
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_branches = num_branches
        self.num_keypoints = num_keypoints

    @abstractmethod
    def aggregate(self, outputs: BranchOutputs) -> BranchOutputs:
        """The same outputs, with the ensemble (and its weights, if any)."""


class WeightedAggregator(Aggregator):
    """An ensemble that is a convex combination of the branches' final heatmaps.

    A subclass says in :meth:`forward` how the weights (B, M, K) come from the shared feature.
    """

    @abstractmethod
    def forward(self, shared_feat: Tensor) -> Tensor:
        """Weights over the branches from the shared feature, (B, C, H', W') -> (B, M, K)."""

    def aggregate(self, outputs: BranchOutputs) -> BranchOutputs:
        """Weighted sum of the final heatmaps over the branches."""
        weights = self.forward(outputs.features.shared)
        ensemble = (outputs.finals * weights.transpose(0, 1)[..., None, None]).sum(0)
        return outputs.aggregated(ensemble, weights)
