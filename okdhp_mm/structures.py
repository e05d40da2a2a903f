"""What crosses from room to room: the only types that modules of different folders share.

The letters, here once and used everywhere:

=========  ==================================================================================
``B``      samples in the batch
``M``      branches: the trained copies of the student's upper part
``S``      stages of one branch (1 for most heads, more for stacked ones)
``K``      keypoints
``C``      feature channels
``(H,W)``  heatmap height and width, in heatmap pixels
=========  ==================================================================================

'trunk' is the part that all branches share, 'branch' a trained path above it, 'student' what is
exported (trunk + one branch), 'ensemble' what the aggregator makes of the branches. 'teacher' is
only ever a role in a distillation term.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

ENSEMBLE = 'ensemble'


def branch_name(index: int) -> str:
    """The name under which branch ``index`` appears in logs and metrics."""
    return f'branch{index}'


@dataclass(frozen=True)
class BranchFeatures:
    """What the branched backbone hands to the head.

    Attributes:
        shared: The trunk's feature map with the highest resolution, (B, C, H', W').
        branches: For every branch that was computed, its index and what the stock backbone
            would have returned (a tuple of feature maps).
    """

    shared: Tensor
    branches: dict[int, Any]


@dataclass(frozen=True)
class BranchOutputs:
    """What the branch heads and the aggregator make of the features.

    Attributes:
        heatmaps: The (branch, stage) grid of heatmaps: ``heatmaps[m][s]`` is (B, K, H, W).
        features: The features that they were made from.
        ensemble: The aggregated heatmaps, (B, K, H, W); None before aggregation.
        weights: The aggregation weights, (B, M, K), if the aggregator has any.
    """

    heatmaps: tuple[tuple[Tensor, ...], ...]
    features: BranchFeatures
    ensemble: Tensor | None = None
    weights: Tensor | None = None

    @cached_property
    def finals(self) -> Tensor:
        """The last stage of every branch, (M, B, K, H, W)."""
        return torch.stack([stages[-1] for stages in self.heatmaps])

    @cached_property
    def all_stages(self) -> Tensor:
        """Every stage of every branch, branch by branch, (sum of S, B, K, H, W)."""
        if all(len(stages) == 1 for stages in self.heatmaps):
            return self.finals
        return torch.stack([heatmaps for stages in self.heatmaps for heatmaps in stages])

    def aggregated(self, ensemble: Tensor, weights: Tensor | None) -> BranchOutputs:
        """The same outputs with the ensemble filled in."""
        return replace(self, ensemble=ensemble, weights=weights)


@dataclass(frozen=True)
class Targets:
    """What the outputs are compared with.

    Attributes:
        heatmaps: Encoded ground truth, (B, K, H, W).
        weights: Keypoint weights, (B, K); 0 where a keypoint is not labelled.
        criteria: ``criteria[m][s]`` is the loss module that the stock head of branch m uses
            for its stage s, called as ``criterion(output, heatmaps, weights)``.
    """

    heatmaps: Tensor
    weights: Tensor
    criteria: tuple[tuple[nn.Module, ...], ...]
