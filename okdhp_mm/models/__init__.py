"""Models: importing this registers them in mmpose's registries."""

from .aggregators import FAU, MeanAggregator
from .backbones import BranchedBackbone, StackedHourglass
from .distillers import Distiller, GaussianRampUp, Mutual, Supervise, Teach, TeachOwn
from .estimator import OKDHPTopdownPoseEstimator
from .heads import MultiBranchHead
from .losses import KLHeatmapLoss
from .views import PhotometricViews

__all__ = [
    'FAU',
    'BranchedBackbone',
    'Distiller',
    'GaussianRampUp',
    'KLHeatmapLoss',
    'MeanAggregator',
    'MultiBranchHead',
    'Mutual',
    'OKDHPTopdownPoseEstimator',
    'PhotometricViews',
    'StackedHourglass',
    'Supervise',
    'Teach',
    'TeachOwn',
]
