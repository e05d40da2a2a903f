"""Clips: consecutive frames of one person, as samples, as batches, and in the evaluation."""

from .dataset import ClipDataset
from .metric import ClipMetric
from .preprocessor import ClipDataPreprocessor

__all__ = ['ClipDataPreprocessor', 'ClipDataset', 'ClipMetric']
