"""DKD: a small network follows the pose that a large one found (Nie et al., ICCV 2019)."""

from .discriminator import TemporalDiscriminator
from .estimator import DKDPoseEstimator
from .kernels import PoseKernels
from .simple import LastHeatmaps, PreviousHeatmaps

__all__ = [
    'DKDPoseEstimator',
    'LastHeatmaps',
    'PoseKernels',
    'PreviousHeatmaps',
    'TemporalDiscriminator',
]
