"""Select the best branch of each keypoint, according to the ground truth."""

from __future__ import annotations

import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import BranchOutputs, Targets
from .base import Aggregator, weighted_sum


@MODELS.register_module()
class BestBranch(Aggregator):
    """Best-branch ensemble: per image and keypoint, the heatmap that is closest to the target.

    KDCL-Naive (Guo et al., CVPR 2020, Online Knowledge Distillation via Collaborative Learning)
    takes the logits of the student with the smallest loss. A heatmap network has one loss per
    keypoint, so here the branch is chosen per keypoint. Without targets, as in validation, the
    ensemble is the mean of the branches.
    """

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Add the final heatmaps with the smallest squared error; without targets their mean."""
        final_heatmaps = outputs.final_heatmaps
        if targets is None:
            return outputs.aggregated(final_heatmaps.mean(0))
        errors = targets.errors(final_heatmaps.detach().float()).square().mean((-2, -1))
        weights = self.weights(errors).transpose(0, 1).to(final_heatmaps.dtype)
        return outputs.aggregated(weighted_sum(final_heatmaps, weights), weights)

    def weights(self, errors: Tensor) -> Tensor:
        """Compute the weights of the branches from their mean squared errors, both (M, B, K)."""
        return F.one_hot(errors.argmin(0), len(errors)).movedim(-1, 0)
