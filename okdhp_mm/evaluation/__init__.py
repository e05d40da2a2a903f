"""Evaluation of every branch and of the ensemble in one pass."""

from .durable_dump import DurableDumpResults
from .every_output import EveryOutputMetric

__all__ = ['DurableDumpResults', 'EveryOutputMetric']
