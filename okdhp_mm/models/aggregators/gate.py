"""Gate of ONE: weights of the branches per image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from .base import WeightedAggregator


@MODELS.register_module()
class Gate(WeightedAggregator):
    """Gate of ONE (Lan et al., NeurIPS 2018, https://arxiv.org/abs/1806.04606).

    The weights are ``softmax_m(ReLU(BN(FC(mean_p(x)))))`` of the trunk's shared feature ``x``.
    There is one weight per image and branch, the same for every keypoint. Equal logits give the
    mean ensemble.

    Shape:
        forward: (B, C, H', W') -> (B, M, K), positive, sums to 1 over M, constant over K.

    Source: written from the description. Difference: a single image does not have batch
    statistics, so it is normalized with the running ones.
    """

    def __init__(self, in_channels: int, num_branches: int, num_keypoints: int, init_cfg=None):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        self.score = nn.Linear(in_channels, num_branches)
        self.norm = nn.BatchNorm1d(num_branches)

    def forward(self, shared_feat: Tensor) -> Tensor:
        """Compute the weights of the branches per sample, (B, C, H', W') -> (B, M, K)."""
        logits = F.relu(self._normalized(self.score(shared_feat.mean((-2, -1)))))
        weights = torch.softmax(logits, dim=1)
        return weights[..., None].expand(-1, -1, self.num_keypoints)

    def _normalized(self, scores: Tensor) -> Tensor:
        if len(scores) > 1:
            return self.norm(scores)
        norm = self.norm
        return F.batch_norm(
            scores, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
