"""Models: importing this registers them in mmpose's registries."""

from .aggregators import FAU, MeanAggregator
from .backbones import BranchedBackbone, StackedHourglass
from .distillers import Distiller, GaussianRampUp, Supervise, Teach
from .estimator import OKDHPTopdownPoseEstimator
from .heads import MultiBranchHead
from .losses import KLHeatmapLoss

__all__ = [
    'FAU',
    'BranchedBackbone',
    'Distiller',
    'GaussianRampUp',
    'KLHeatmapLoss',
    'MeanAggregator',
    'MultiBranchHead',
    'OKDHPTopdownPoseEstimator',
    'StackedHourglass',
    'Supervise',
    'Teach',
]
