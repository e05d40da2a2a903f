"""From the branches' heatmaps to the ensemble's: one aggregator per file."""

from .base import Aggregator, WeightedAggregator
from .fau import FAU
from .mean import MeanAggregator

__all__ = ['FAU', 'Aggregator', 'MeanAggregator', 'WeightedAggregator']
