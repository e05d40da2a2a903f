"""Data types that modules of different folders share.

Shapes are written with these letters everywhere:

=========  ==================================================================================
``B``      samples in the batch
``M``      branches: the trained copies of the student's upper part
``S``      stages of one branch (1 for most heads, more for stacked ones)
``K``      keypoints
``C``      feature channels
``(H,W)``  heatmap height and width, in heatmap pixels
=========  ==================================================================================

The 'trunk' is the part that all branches share. A 'branch' is a trained path above it. The
'student' is exported: trunk and one branch. The aggregator computes the 'ensemble' from the
branches. A 'teacher' is anything that a distillation term learns from: the ensemble, other
branches, or a module of :mod:`~okdhp_mm.models.teachers`.

A SimCC head does not predict a heatmap. It predicts two distributions per keypoint, over the bins
of x and of y. This package stores them as one map, (B, K, 1, Lx + Ly): the logits of x, then those
of y. Such maps are summed, stacked and weighted like heatmaps. Code that reads a map as a
distribution must split it first, see :func:`distributions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

ENSEMBLE = 'ensemble'
KEYPOINTS, MAPS = 'keypoints', 'maps'
"""Targets on unlabeled images, see :class:`~okdhp_mm.models.unlabeled.UnlabeledTeaching`."""

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Loss of an output against the targets, with keypoint weights."""


def branch_name(index: int) -> str:
    """Return the name of branch ``index`` in logs and metrics."""
    return f'branch{index}'


def output_name(output: int | str) -> str:
    """Return the name of an output, an index or 'ensemble', in reports."""
    return output if isinstance(output, str) else branch_name(output)


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of at least one tensor."""
    # `sum` is typed to return 0 for no tensors.
    total: Any = sum(tensors)
    return total


def distributions(maps: Tensor, bins: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Split maps into their distributions, (..., H, W) -> n x (..., H, W_n).

    Args:
        maps: Maps with any leading axes.
        bins: Lengths of the distributions along W; () if the whole map is one distribution.

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
    """Output of the branched backbone and input of the head.

    Attributes:
        shared: The trunk's feature map with the highest resolution, (B, C, H', W').
        branches: Maps the index of every computed branch to the output that the stock backbone
            would return (a tuple of feature maps).
        trunk_stages: Number of leading entries of every branch's tuple that are heatmaps of the
            trunk. All branches have the same tensors there. With one view per branch, each branch
            has those of its own view, and those of branch 0 are supervised.
        head_features: Maps the index of every computed branch to the feature map (B, C, H, W)
            below its last heatmap. Only for backbones that predict heatmaps themselves.
    """

    shared: Tensor
    branches: dict[int, Any]
    trunk_stages: int = 0
    head_features: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Unlabeled:
    """Outputs of the branches on hard views of unlabeled images, and the maps to learn there.

    Attributes:
        heatmaps: The (branch, stage) grid, see :class:`BranchOutputs`. Every branch sees a view of
            its own.
        teachers: What each branch should predict in its view, (M, B, K, H, W), without gradients:
            the teacher's maps, or labels at the teacher's keypoints.
        weights: 1 for a keypoint that the teacher is sure about and that lies in the view, else 0,
            (M, B, K).
        scalars: Measures for the log, by name.
    """

    heatmaps: tuple[tuple[Tensor, ...], ...]
    teachers: Tensor
    weights: Tensor
    scalars: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class BranchOutputs:
    """Output of the branch heads and the aggregator.

    Attributes:
        heatmaps: The (branch, stage) grid of heatmaps: ``heatmaps[m][s]`` is (B, K, H, W). It
            has only the branch's own stages.
        features: Input of the heads.
        ensemble: The aggregated heatmaps, (B, K, H, W); None before aggregation.
        weights: The aggregation weights, (B, M, K), if the aggregator has any.
        trunk: Heatmaps of the trunk's stages, (B, K, H, W) each. They are stored once for all
            branches.
        head_features: Input of the last layer of every branch, M x (B, C_m, H, W); empty unless a
            term or the aggregator reads it.
        peer_targets: One teacher per branch, (M, B, K, H, W), if the aggregator computes them.
        ema: Final heatmaps of the branches of the EMA copy, (M, B, K, H, W), without gradients;
            None if the model keeps no copy or no term reads them.
        teacher: Heatmaps of the model's ``teacher``, (B, K, H, W), without gradients; None if it
            has no teacher.
        unlabeled: Outputs on the unlabeled images of the batch; None if it has none.
        teacher_weights: Keypoint weights of ``teacher``, (B, K); None for those of the labels.
        bins: Lengths along W of the distributions in a map, see :func:`distributions`; () if the
            whole map is one distribution.
        final_heatmaps: The last stage of every branch, (M, B, K, H, W), stacked from ``heatmaps``.
        stacked: Optional precomputed ``final_heatmaps``.
    """

    heatmaps: tuple[tuple[Tensor, ...], ...]
    features: BranchFeatures
    ensemble: Tensor | None = None
    weights: Tensor | None = None
    trunk: tuple[Tensor, ...] = ()
    head_features: tuple[Tensor, ...] = ()
    peer_targets: Tensor | None = None
    ema: Tensor | None = None
    teacher: Tensor | None = None
    unlabeled: Unlabeled | None = None
    teacher_weights: Tensor | None = None
    bins: tuple[int, ...] = ()
    final_heatmaps: Tensor = field(init=False)
    stacked: InitVar[Tensor | None] = None

    def __post_init__(self, stacked: Tensor | None):
        # Computed here because torch.compile cannot trace a functools.cached_property.
        if stacked is None:
            stacked = torch.stack([maps[-1] for maps in self.heatmaps])
        object.__setattr__(self, 'final_heatmaps', stacked)

    @property
    def all_stages(self) -> Tensor:
        """All stages of the trunk, then of every branch, (number of stages, B, K, H, W)."""
        if not self.trunk and all(len(stages) == 1 for stages in self.heatmaps):
            return self.final_heatmaps
        grid = (self.trunk, *self.heatmaps)
        return torch.stack([heatmaps for stages in grid for heatmaps in stages])

    def aggregated(
        self, ensemble: Tensor, weights: Tensor | None = None, peer_targets: Tensor | None = None
    ) -> BranchOutputs:
        """Return a copy of these outputs that has the ensemble."""
        return replace(  # type: ignore[call-arg]  # mypy does not know the InitVar `stacked`
            self,
            ensemble=ensemble,
            weights=weights,
            peer_targets=peer_targets,
            stacked=self.final_heatmaps,
        )


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
    """Shapes and settings of the built network that the training-only parts use.

    Attributes:
        branches: M.
        keypoints: K.
        shared_channels: Channels C of :attr:`BranchFeatures.shared`.
        head_features: (C, H, W) of every branch's :attr:`BranchOutputs.head_features`; None for a
            branch whose head adapter does not return that feature map.
        provided: Fields of :class:`BranchOutputs` that the model fills in.
        teacher: Name of the model's teacher, None without one.
        unlabeled: Target on unlabeled images, 'keypoints' or 'maps'; None if the model does not
            learn from such images.
        kl_defaults: Arguments that a ``KLHeatmapLoss`` gets unless its config sets them, see
            :class:`~okdhp_mm.models.heads.adapters.HeadAdapter`.
    """

    branches: int
    keypoints: int
    shared_channels: int
    head_features: tuple[tuple[int, ...] | None, ...] = ()
    provided: frozenset[str] = frozenset()
    teacher: str | None = None
    unlabeled: str | None = None
    kl_defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def head_channels(self) -> list[int]:
        """Return the channels C of all head features."""
        return [shape[0] for shape in self.head_features if shape is not None]


@dataclass(frozen=True)
class Targets:
    """Ground truth of a batch and the losses against it.

    Attributes:
        heatmaps: Encoded ground truth, (B, K, H, W).
        weights: Keypoint weights, (B, K); 0 for an unlabeled keypoint.
        criteria: ``criteria[m][s]`` is the loss that the stock head of branch m uses for its
            stage s. It is called as ``criterion(output, heatmaps, weights)``. Like
            :class:`BranchOutputs`, this has only the branch's own stages.
        trunk_criteria: Losses of the trunk's stages, from the head of the first branch.
        difference: Function that computes the error of an output,
            ``difference(output, heatmaps)``, (..., H, W). It subtracts heatmaps or, for logits,
            the probabilities.
    """

    heatmaps: Tensor
    weights: Tensor
    criteria: tuple[tuple[Criterion, ...], ...]
    trunk_criteria: tuple[Criterion, ...] = ()
    difference: Callable[[Tensor, Tensor], Tensor] = torch.sub

    def errors(self, output: Tensor) -> Tensor:
        """Return the errors of outputs, in the same shape, (..., B, K, H, W)."""
        return self.difference(output, self.heatmaps)
