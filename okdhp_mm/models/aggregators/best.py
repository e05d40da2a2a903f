"""The best branch of each keypoint, by the ground truth."""

from __future__ import annotations

import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import BranchOutputs, Targets
from .base import Aggregator, weighted_sum


@MODELS.register_module()
class BestBranch(Aggregator):
    """For every image and keypoint the heatmap of the branch that is nearest to the target.

    KDCL-Naive (Guo et al., CVPR 2020, Online Knowledge Distillation via Collaborative Learning)
    takes the logits of the student with the smallest loss; a heatmap network has a loss per
    keypoint, so that here the choice is made for each. Where nothing is to be compared with, as
    in validation, the ensemble is the mean of the branches.
    """

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """The final heatmaps with the smallest squared error; without targets their mean."""
        finals = outputs.finals
        if targets is None:
            return outputs.aggregated(finals.mean(0))
        errors = targets.errors(finals.detach().float()).square().mean((-2, -1))
        weights = self.weights(errors).transpose(0, 1).to(finals.dtype)
        return outputs.aggregated(weighted_sum(finals, weights), weights)

    def weights(self, errors: Tensor) -> Tensor:
        """Weights of the branches by their mean squared errors, both (M, B, K)."""
        return F.one_hot(errors.argmin(0), len(errors)).movedim(-1, 0)
