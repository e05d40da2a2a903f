"""Evaluation of every branch and of the ensemble in one pass."""

from .durable_dump import DurableDumpResults
from .multi_output_metric import MultiOutputMetric

__all__ = ['DurableDumpResults', 'MultiOutputMetric']
