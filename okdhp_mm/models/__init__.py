"""Models. Importing this package registers them in mmpose's registries."""

from .aggregators import (
    FAU,
    BestBranch,
    FeatureFusion,
    Gate,
    MeanAggregator,
    PeerAttention,
)
from .augment import PhotometricViews
from .backbones import BranchedBackbone, StackedHourglass
from .distillers import Contrast, Distiller, GaussianRampUp, Mutual, Supervise, Teach, TeachOwn
from .estimator import OKDHPTopdownPoseEstimator
from .heads import MultiBranchHead
from .losses import KLHeatmapLoss
from .teachers import FrozenTeacher

__all__ = [
    'FAU',
    'BestBranch',
    'BranchedBackbone',
    'Contrast',
    'Distiller',
    'FeatureFusion',
    'FrozenTeacher',
    'Gate',
    'GaussianRampUp',
    'KLHeatmapLoss',
    'MeanAggregator',
    'MultiBranchHead',
    'Mutual',
    'OKDHPTopdownPoseEstimator',
    'PeerAttention',
    'PhotometricViews',
    'StackedHourglass',
    'Supervise',
    'Teach',
    'TeachOwn',
]
