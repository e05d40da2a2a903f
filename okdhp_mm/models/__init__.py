"""Models. Importing this package registers them in mmpose's registries."""

from .aggregators import FAU, BestBranch, FeatureFusion, Gate, MeanAggregator, PeerAttention
from .augment import PhotometricViews
from .backbones import BranchedBackbone, StackedHourglass
from .distillers import (
    ContrastiveTerm,
    Distiller,
    DistillTerm,
    GaussianRampUp,
    MutualTerm,
    PeerDistillTerm,
    SupervisedTerm,
    UnlabeledTerm,
)
from .estimator import OKDHPTopdownPoseEstimator
from .hard_views import HardViews
from .heads import MultiBranchHead
from .losses import KLHeatmapLoss
from .teachers import FrozenTeacher

__all__ = [
    'FAU',
    'BestBranch',
    'BranchedBackbone',
    'ContrastiveTerm',
    'Distiller',
    'FeatureFusion',
    'FrozenTeacher',
    'Gate',
    'GaussianRampUp',
    'HardViews',
    'KLHeatmapLoss',
    'MeanAggregator',
    'MultiBranchHead',
    'MutualTerm',
    'OKDHPTopdownPoseEstimator',
    'PeerAttention',
    'PhotometricViews',
    'StackedHourglass',
    'SupervisedTerm',
    'DistillTerm',
    'PeerDistillTerm',
    'UnlabeledTerm',
]
