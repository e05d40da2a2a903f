"""The pixel-wise KL divergence that carries the ensemble's knowledge to the branches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError
from .functional import spatial_kl, spatial_log_softmax

REDUCTIONS = ('joint_mean', 'official', 'simcc')


@MODELS.register_module()
class KLHeatmapLoss(nn.Module):
    """KL divergence between heatmaps read as distributions over the pixels of a keypoint.

    OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092), its distillation loss, with
    ``p = softmax(scale * output)`` and ``q = softmax(scale * target)`` over the H*W pixels:

    - ``joint_mean`` (default): ``1/(B*K) * sum_bk w_bk * sum_p q (log q - log p) / scale**2``.
      At the default scale its gradient is about as large as that of the MSE between the same
      two maps; like the host's MSE it averages over all keypoints, labelled or not, so that
      the balance of the two terms does not depend on how many are labelled.
    - ``official``: ``1/(B*H*W) * sum_bkp q (log q - log p)`` with ``p = softmax(scale * w * o)``,
      as the authors' code has it. Its gradient is about 0.5 % of the MSE's: a softmax over
      thousands of pixels at temperature 1 is almost uniform, and the sum is divided by H*W.
    - ``simcc``: ``1/(K*H*W) * sum_bk w_bk * sum_p q (log q - log p)``, for SimCC's logits, of x and
      y each: the host's ``KLDiscretLoss`` with the target's probabilities as labels. With that
      loss's ``beta`` as the scale its gradient is as large as that loss's by labels as far away,
      whatever the batch (over which both are sums) and the number of bins.

    Args:
        reduction: One of 'joint_mean', 'official' and 'simcc'. A student with a SimCC head fills in
            'simcc' and its scale where a distilling term does not say another.
        scale: Inverse temperature of both softmaxes; 3 for 'joint_mean' and 1 for the others
            unless given. Heatmap peaks are at most 1, so the larger it is, the more the
            distributions are about the peak instead of the background.
        detach_target: Whether the target is a constant. The authors' code does not detach it.
        loss_weight: Factor of the loss.

    Raises:
        UserError: If the reduction is unknown, or the scale is not positive.

    Source: written from the equations; values and gradients of ``reduction='official',
    detach_target=False`` equal those of https://github.com/zhengli97/OKDHP (lib/core/loss.py).
    """

    takes_many = True  # students at once, see Teaching

    def __init__(
        self,
        reduction: str = 'joint_mean',
        scale: float | None = None,
        detach_target: bool = True,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise UserError(f'KLHeatmapLoss: reduction={reduction!r} is not one of {REDUCTIONS}.')
        if scale is None:
            scale = 3.0 if reduction == 'joint_mean' else 1.0
        if not scale > 0:
            raise UserError(f'KLHeatmapLoss: scale={scale} must be positive.')
        self.reduction = reduction
        self.scale = scale
        self.detach_target = detach_target
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """The loss, summed over any axes of ``output`` before B (the branches).

        Args:
            output: Student heatmaps, (..., B, K, H, W).
            target: Teacher heatmaps, (B, K, H, W).
            target_weights: Keypoint weights, (B, K); None counts every keypoint fully.

        Returns:
            Scalar; 0, with a gradient of zeros, when no keypoint has a weight.
        """
        if self.detach_target:
            target = target.detach()
        # What is float32 below stays so: autocast may run dot products in half precision.
        with torch.autocast(output.device.type, enabled=False):
            if self.reduction == 'official':
                return self.loss_weight * self._official(output, target, target_weights)
            divergence = spatial_kl(output, target, self.scale)
            if target_weights is not None:
                divergence = divergence * target_weights
            if self.reduction == 'simcc':
                return self.loss_weight * divergence.sum() / target[0].numel()
            maps = target.shape[0] * target.shape[1]
            return self.loss_weight * divergence.sum() / (maps * self.scale**2)

    def _official(self, output: Tensor, target: Tensor, target_weights: Tensor | None) -> Tensor:
        if target_weights is not None:
            # On the logits, as the authors do: an unlabelled keypoint compares two uniform maps.
            weights = target_weights[..., None, None]
            output, target = output.float() * weights, target.float() * weights
        batch, _, height, width = target.shape
        # The authors' own arithmetic: in float32, another order of the same sum is 1e-5 away.
        log_output = spatial_log_softmax(output, self.scale)
        target = torch.softmax(target.flatten(-2).float() * self.scale, dim=-1)
        divergence = F.kl_div(log_output, target.expand_as(log_output), reduction='sum')
        return divergence / (batch * height * width)
