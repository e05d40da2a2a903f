"""Pixel-wise KL divergence between heatmaps, the distillation loss of OKDHP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError, check_choice
from .functional import spatial_kl, spatial_log_softmax

REDUCTIONS = ('joint_mean', 'official', 'simcc')


@MODELS.register_module()
class KLHeatmapLoss(nn.Module):
    """KL divergence between heatmaps that are read as distributions over pixels, per keypoint.

    Distillation loss of OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092), with
    ``p = softmax(output / T)`` and ``q = softmax(target / T)`` over the H*W pixels, at a
    temperature T:

    - ``joint_mean`` (default): ``1/(B*K) * sum_bk w_bk * sum_p q (log q - log p) * T**2``. At
      the default temperature, its gradient is about as large as that of the MSE between the same
      two maps. Like mmpose's MSE, it averages over all keypoints, labeled or not. So the balance
      of the two terms does not depend on the number of labeled keypoints.
    - ``official``: ``1/(B*H*W) * sum_bkp q (log q - log p)`` with ``p = softmax(w * o / T)``,
      as in the authors' code. Its gradient is about 0.5 % of the MSE's, because a softmax over
      thousands of pixels at temperature 1 is almost uniform and the sum is divided by H*W.
    - ``simcc``: ``1/(K*H*W) * sum_bk w_bk * sum_p q (log q - log p)``. It is computed on the SimCC
      logits, of x and of y separately. It equals mmpose's ``KLDiscretLoss`` with the target's
      probabilities as labels. At temperature 1 / ``beta``, its gradient is as large as that
      of ``KLDiscretLoss`` with labels at the same distance, for any batch size (both are sums
      over the batch) and any number of bins.

    Args:
        reduction: One of 'joint_mean', 'official' and 'simcc'. A student with a SimCC head sets
            'simcc' and its temperature unless the config of the distillation term sets others.
        temperature: Temperature of both softmaxes. Default: 1/3 for 'joint_mean', 1 for the
            others. Heatmap peaks are at most 1. So a lower temperature gives more weight to the
            peak and less to the background.
        detach_target: Whether to detach the target. The authors' code does not.
        loss_weight: Factor of the loss.

    Raises:
        UserError: If the reduction is unknown, or the temperature is not positive.

    Source: written from the equations; values and gradients of ``reduction='official',
    detach_target=False`` equal those of https://github.com/zhengli97/OKDHP (lib/core/loss.py).
    """

    batched = True  # The loss handles a batch of students, see TeacherStudentTerm.

    def __init__(
        self,
        reduction: str = 'joint_mean',
        temperature: float | None = None,
        detach_target: bool = True,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        check_choice('KLHeatmapLoss: reduction', reduction, REDUCTIONS)
        if temperature is None:
            temperature = 1 / 3 if reduction == 'joint_mean' else 1.0
        if not temperature > 0:
            raise UserError(f'KLHeatmapLoss: temperature={temperature} must be positive.')
        self.reduction = reduction
        self.temperature = temperature
        self._scale = 1 / temperature
        self.detach_target = detach_target
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Compute the loss, summed over the axes of ``output`` before B (the branches).

        Args:
            output: Student heatmaps, (..., B, K, H, W).
            target: Teacher heatmaps, (B, K, H, W).
            target_weights: Keypoint weights, (B, K); None for a weight of 1 everywhere.

        Returns:
            Scalar. It is 0, with a gradient of zeros, if all weights are 0.
        """
        if self.detach_target:
            target = target.detach()
        # Autocast could run the dot products below in half precision.
        with torch.autocast(output.device.type, enabled=False):
            if self.reduction == 'official':
                return self.loss_weight * self._official(output, target, target_weights)
            divergence = spatial_kl(output, target, self._scale)
            if target_weights is not None:
                divergence = divergence * target_weights
            if self.reduction == 'simcc':
                return self.loss_weight * divergence.sum() / target[0].numel()
            maps = target.shape[0] * target.shape[1]
            return self.loss_weight * divergence.sum() / (maps * self._scale**2)

    def _official(self, output: Tensor, target: Tensor, target_weights: Tensor | None) -> Tensor:
        if target_weights is not None:
            # The authors weight the logits. Both maps of an unlabeled keypoint become uniform.
            weights = target_weights[..., None, None]
            output, target = output.float() * weights, target.float() * weights
        batch, _, height, width = target.shape
        # Keep the authors' order of operations. Another order differs by 1e-5 in float32.
        log_output = spatial_log_softmax(output, self._scale)
        target = torch.softmax(target.flatten(-2).float() * self._scale, dim=-1)
        divergence = F.kl_div(log_output, target.expand_as(log_output), reduction='sum')
        return divergence / (batch * height * width)
