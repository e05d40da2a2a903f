"""Ideas that were measured as arms and are not in the package (docs/benchmarks.md)."""

from __future__ import annotations

from dataclasses import dataclass

from mmpose.registry import MODELS, TASK_UTILS
from torch import Tensor

from okdhp_mm.models.aggregators import BestBranch
from okdhp_mm.models.distillers.schedules import GaussianRampUp
from okdhp_mm.models.losses import KLHeatmapLoss


@TASK_UTILS.register_module()
@dataclass(frozen=True)
class RampUpAndDown(GaussianRampUp):
    """The ramp-up, and a straight line down to 0 at the end (DWPose's falls from the start).

    Args:
        end: See :class:`~okdhp_mm.models.distillers.schedules.GaussianRampUp`.
        fall: Share of the training over which the weight falls.
    """

    fall: float = 0.3

    def __call__(self, progress: Tensor) -> Tensor:  # noqa: D102
        return super().__call__(progress) * ((1 - progress) / self.fall).clamp(max=1)


@MODELS.register_module()
class SharpenedKL(KLHeatmapLoss):
    """The KL divergence from a sharper teacher.

    Args:
        sharpness: What the teacher's heatmaps are multiplied by before the softmax.
        settings: Those of the loss.
    """

    def __init__(self, sharpness: float = 1.5, **settings):
        super().__init__(**settings)
        self.sharpness = sharpness

    def forward(  # noqa: D102
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        return super().forward(output, self.sharpness * target, target_weights)


@MODELS.register_module()
class NarrowedKL(KLHeatmapLoss):
    """The KL divergence from a teacher whose peaks are as high, but narrower."""

    def forward(  # noqa: D102
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        target = target.clamp(min=0)
        peak = target.amax((-2, -1), keepdim=True).clamp(min=1e-4)
        return super().forward(output, target.square() / peak, target_weights)


@MODELS.register_module()
class LossWeightedMean(BestBranch):
    """The mean of the branches, each keypoint's weighted by the inverse of the branch's error."""

    def weights(self, errors: Tensor) -> Tensor:  # noqa: D102
        inverse = 1 / errors.clamp(min=1e-8)
        return inverse / inverse.sum(0)
