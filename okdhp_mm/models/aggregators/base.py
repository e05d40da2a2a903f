"""The contract of an aggregator."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from ...errors import UserError
from ...structures import BranchOutputs, Targets


class Aggregator(BaseModule):
    """Fills the ensemble into the branches' outputs.

    Args:
        in_channels: Channels C of the trunk's shared feature.
        num_branches: M.
        num_keypoints: K.

    Attributes:
        min_branches: How many branches it takes to make an ensemble.
        needs_head_features: Whether :attr:`BranchOutputs.head_features` is read. Then the
            constructor takes ``branch_channels``, the channels of each.
        makes_mixtures: Whether :attr:`BranchOutputs.mixtures` is filled in.

    Raises:
        UserError: If there are too few branches.
    """

    min_branches = 2
    needs_head_features = False
    makes_mixtures = False

    def __init__(self, in_channels: int, num_branches: int, num_keypoints: int, init_cfg=None):
        super().__init__(init_cfg)
        if num_branches < self.min_branches:
            raise UserError(
                f'branches={num_branches}: {type(self).__name__} needs at least '
                f'{self.min_branches} branches.'
            )
        self.num_branches = num_branches
        self.num_keypoints = num_keypoints

    @abstractmethod
    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """The same outputs, with the ensemble (and its weights, if any).

        Args:
            outputs: The branches' heatmaps.
            targets: What they are compared with; None outside training.
        """


class WeightedAggregator(Aggregator):
    """An ensemble that is a convex combination of the branches' final heatmaps.

    A subclass says in :meth:`forward` how the weights (B, M, K) come from the shared feature.
    """

    @abstractmethod
    def forward(self, shared_feat: Tensor) -> Tensor:
        """Weights over the branches from the shared feature, (B, C, H', W') -> (B, M, K)."""

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Weighted sum of the final heatmaps over the branches."""
        weights = self.forward(outputs.features.shared)
        return outputs.aggregated(weighted_sum(outputs.finals, weights), weights)


def weighted_sum(heatmaps: Tensor, weights: Tensor) -> Tensor:
    """Sum over the branches, (M, B, K, H, W) with weights (B, M, K) -> (B, K, H, W)."""
    return (heatmaps * weights.transpose(0, 1)[..., None, None]).sum(0)
