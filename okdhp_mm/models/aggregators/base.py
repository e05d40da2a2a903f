"""Base classes of aggregators."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from ...errors import UserError
from ...structures import BranchOutputs, Targets


class Aggregator(BaseModule):
    """Base class of modules that compute the ensemble from the outputs of the branches.

    Args:
        in_channels: Channels C of the trunk's shared feature.
        num_branches: M.
        num_keypoints: K.

    Attributes:
        min_branches: Smallest number of branches.
        requires: Optional fields of :class:`BranchOutputs` that it reads. With 'head_features' the
            constructor takes ``branch_channels``, the channels of each.
        provides: Fields of :class:`BranchOutputs` that it fills in.

    Raises:
        UserError: If there are too few branches.
    """

    min_branches = 2
    requires: frozenset[str] = frozenset()
    provides = frozenset({'ensemble'})

    def __init__(self, in_channels: int, num_branches: int, num_keypoints: int, init_cfg=None):
        super().__init__(init_cfg)
        if num_branches < self.min_branches:
            raise UserError(
                f'branches={num_branches}: {type(self).__name__} needs at least '
                f'{self.min_branches} branches. Set more, or choose another aggregator.'
            )
        self.num_branches = num_branches
        self.num_keypoints = num_keypoints

    @abstractmethod
    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Return a copy of the outputs with the ensemble (and its weights, if any).

        Args:
            outputs: Outputs of the branches.
            targets: Ground truth; None outside training.
        """


class WeightedAggregator(Aggregator):
    """Base class of aggregators with a convex combination of the branches' final heatmaps.

    Subclasses compute the weights (B, M, K) from the shared feature in :meth:`forward`.
    """

    provides = frozenset({'ensemble', 'weights'})

    @abstractmethod
    def forward(self, shared_feat: Tensor) -> Tensor:
        """Compute weights of the branches from the shared feature, (B, C, H', W') -> (B, M, K)."""

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Add the weighted sum of the final heatmaps over the branches."""
        weights = self.forward(outputs.features.shared)
        return outputs.aggregated(weighted_sum(outputs.final_heatmaps, weights), weights)


def weighted_sum(heatmaps: Tensor, weights: Tensor) -> Tensor:
    """Sum over the branches, (M, B, K, H, W) with weights (B, M, K) -> (B, K, H, W)."""
    return (heatmaps * weights.transpose(0, 1)[..., None, None]).sum(0)
