"""Aggregators compute the ensemble from the branches. One aggregator per file."""

from .attention import PeerAttention
from .base import Aggregator, WeightedAggregator
from .best import BestBranch
from .fau import FAU
from .fusion import FeatureFusion
from .gate import Gate
from .mean import MeanAggregator

__all__ = [
    'FAU',
    'Aggregator',
    'BestBranch',
    'FeatureFusion',
    'Gate',
    'MeanAggregator',
    'PeerAttention',
    'WeightedAggregator',
]
