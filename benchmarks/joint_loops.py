"""The losses of the authors' release as it computes them: joint by joint, in loops.

Written from their description: the mean squared error is halved, and averaged over the joints; the
KL divergence, at temperature 1, is summed over the joints and divided by B * H * W; the weights of
the joints are multiplied with the maps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from okdhp_mm.structures import BranchOutputs, Targets


def joints(output: Tensor, target: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Weighted maps of one joint after the other, (B, H * W), of maps (B, K, H, W)."""
    for k in range(output.shape[1]):
        weight = weights[:, k, None]
        yield output[:, k].flatten(1) * weight, target[:, k].flatten(1) * weight


def mse(output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Half of the mean squared error."""
    pairs = joints(output, target, weights)
    return sum(0.5 * F.mse_loss(ours, theirs) for ours, theirs in pairs) / output.shape[1]


def kl(output: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Divergence of the student's maps from the teacher's."""
    total = sum(
        F.kl_div(F.log_softmax(ours, dim=1), F.softmax(theirs, dim=1), reduction='sum')
        for ours, theirs in joints(output, teacher, weights)
    )
    batch, _, height, width = output.shape
    return total / (batch * height * width)


class LoopDistiller(nn.Module):
    """In the place of the distiller: the terms of ``hourglass4_mpii_official.py``, in loops."""

    requires = frozenset()
    observer = None

    def forward(self, outputs: BranchOutputs, targets: Targets) -> dict[str, Tensor]:
        """Every term by name, scalars, at the end of the ramp-up."""
        grid = (outputs.trunk, *outputs.heatmaps)
        stages = [stage for stages in grid for stage in stages]
        truth, weights = targets.heatmaps, targets.weights
        return dict(
            loss_kpt=sum(mse(stage, truth, weights) for stage in stages),
            loss_ens=mse(outputs.ensemble, truth, weights),
            loss_kd=2 * sum(kl(stage, outputs.ensemble, weights) for stage in stages),
        )
