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
exported (trunk + one branch), 'ensemble' what the aggregator makes of the branches. A 'teacher' is
whatever a distillation term learns from: the ensemble, other branches, or a module of
:mod:`~okdhp_mm.models.teachers`.

A SimCC head predicts no heatmap but two distributions per keypoint, over the bins of x and of y.
Here they are one map all the same, (B, K, 1, Lx + Ly), the logits of x and then those of y, which
is summed, stacked and weighted like any other; who reads a map as a distribution cuts it first,
see :func:`distributions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

ENSEMBLE = 'ensemble'

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A loss between an output and the targets, by the weights of the keypoints."""


def branch_name(index: int) -> str:
    """The name under which branch ``index`` appears in logs and metrics."""
    return f'branch{index}'


def output_name(output: int | str) -> str:
    """The name under which a deployed output, an index or 'ensemble', is reported."""
    return output if output == ENSEMBLE else branch_name(output)


def distributions(maps: Tensor, bins: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Cut maps into the distributions that they consist of, (..., H, W) -> n x (..., H, W_n).

    Args:
        maps: Of any leading axes.
        bins: Lengths of the distributions along W; () where a map is one.

    Returns:
        Views.
    """
    return maps.split(bins, dim=-1) if bins else (maps,)


@dataclass(frozen=True)
class BranchViews:
    """A batch of images that every branch sees in another augmentation.

    Attributes:
        images: One view for each branch, (M, B, 3, H, W), normalized.
    """

    images: Tensor


@dataclass(frozen=True)
class BranchFeatures:
    """What the branched backbone hands to the head.

    Attributes:
        shared: The trunk's feature map with the highest resolution, (B, C, H', W').
        branches: For every branch that was computed, its index and what the stock backbone
            would have returned (a tuple of feature maps).
        trunk_stages: How many leading entries of every branch's tuple are heatmaps that the trunk
            has made already: the same tensors for all branches, or, where each branch sees another
            view, of its own view; branch 0's are supervised then.
        head_features: For every computed branch whose backbone makes heatmaps itself, the feature
            map (B, C, H, W) below the last of them.
    """

    shared: Tensor
    branches: dict[int, Any]
    trunk_stages: int = 0
    head_features: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class BranchOutputs:
    """What the branch heads and the aggregator make of the features.

    Attributes:
        heatmaps: The (branch, stage) grid of heatmaps: ``heatmaps[m][s]`` is (B, K, H, W). A
            branch's own stages only.
        features: The features that they were made from.
        ensemble: The aggregated heatmaps, (B, K, H, W); None before aggregation.
        weights: The aggregation weights, (B, M, K), if the aggregator has any.
        trunk: Heatmaps of the trunk's stages, (B, K, H, W) each: below every branch, once.
        head_features: The feature map of every branch that its last layer turns into the final
            heatmaps, M x (B, C_m, H, W); empty unless a term or the aggregator reads it.
        mixtures: A teacher for each branch of its own, (M, B, K, H, W), if the aggregator makes
            them.
        ema: Final heatmaps of the branches of the EMA copy, (M, B, K, H, W), if the model keeps
            one; constants.
        teacher: Heatmaps of the model's ``teacher``, (B, K, H, W), if it has one; constants.
        bins: Lengths along W of the distributions of which a map consists, see
            :func:`distributions`; () where the whole map is one.
        finals: The last stage of every branch, (M, B, K, H, W), made from ``heatmaps``.
        stacked: Those, where somebody has made them already.
    """

    heatmaps: tuple[tuple[Tensor, ...], ...]
    features: BranchFeatures
    ensemble: Tensor | None = None
    weights: Tensor | None = None
    trunk: tuple[Tensor, ...] = ()
    head_features: tuple[Tensor, ...] = ()
    mixtures: Tensor | None = None
    ema: Tensor | None = None
    teacher: Tensor | None = None
    bins: tuple[int, ...] = ()
    finals: Tensor = field(init=False)
    stacked: InitVar[Tensor | None] = None

    def __post_init__(self, stacked: Tensor | None):
        # At once, for torch.compile cannot follow a functools.cached_property.
        if stacked is None:
            stacked = torch.stack([maps[-1] for maps in self.heatmaps])
        object.__setattr__(self, 'finals', stacked)

    @property
    def all_stages(self) -> Tensor:
        """Every stage of the trunk, then of every branch, (number of stages, B, K, H, W)."""
        if not self.trunk and all(len(stages) == 1 for stages in self.heatmaps):
            return self.finals
        grid = (self.trunk, *self.heatmaps)
        return torch.stack([heatmaps for stages in grid for heatmaps in stages])

    def aggregated(
        self, ensemble: Tensor, weights: Tensor | None = None, mixtures: Tensor | None = None
    ) -> BranchOutputs:
        """The same outputs with the ensemble filled in."""
        new = dict(ensemble=ensemble, weights=weights, mixtures=mixtures)
        return replace(self, **new, stacked=self.finals)


@dataclass(frozen=True)
class BranchPredictions:
    """Decoded keypoints of a batch.

    Attributes:
        deployed: Those of the deployed output, one for each sample.
        by_name: Those of the other outputs that are reported, by the name of the output.
    """

    deployed: list[InstanceData]
    by_name: dict[str, list[InstanceData]] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSpec:
    """Shapes and settings of the built network that the training-only parts depend on.

    Attributes:
        branches: M.
        keypoints: K.
        shared_channels: Channels C of :attr:`BranchFeatures.shared`.
        head_features: (C, H, W) of every branch's :attr:`BranchOutputs.head_features`, None for a
            branch whose head adapter does not return that feature map.
        ema: Whether the model keeps an EMA copy.
        teacher: Name of the model's teacher, None without one.
        kl_defaults: Arguments that a ``KLHeatmapLoss`` gets unless its config sets them, see
            :class:`~okdhp_mm.models.heads.adapters.HeadAdapter`.
    """

    branches: int
    keypoints: int
    shared_channels: int
    head_features: tuple[tuple[int, int, int] | None, ...] = ()
    ema: bool = False
    teacher: str | None = None
    kl_defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Targets:
    """What the outputs are compared with.

    Attributes:
        heatmaps: Encoded ground truth, (B, K, H, W).
        weights: Keypoint weights, (B, K); 0 where a keypoint is not labelled.
        criteria: ``criteria[m][s]`` is the loss that the stock head of branch m uses for its
            stage s, called as ``criterion(output, heatmaps, weights)``; of its own stages only,
            as in :class:`BranchOutputs`.
        trunk_criteria: The same of the trunk's stages, as the first branch's head has them.
        difference: What an output gets wrong, ``difference(output, heatmaps)``, (..., H, W): for
            heatmaps their difference, for logits that of the probabilities.
    """

    heatmaps: Tensor
    weights: Tensor
    criteria: tuple[tuple[Criterion, ...], ...]
    trunk_criteria: tuple[Criterion, ...] = ()
    difference: Callable[[Tensor, Tensor], Tensor] = torch.sub

    def errors(self, output: Tensor) -> Tensor:
        """What outputs get wrong, (..., B, K, H, W), of the same shape."""
        return self.difference(output, self.heatmaps)
