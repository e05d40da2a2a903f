"""Evaluation of every branch and of the ensemble in one pass."""

from .every_output import EveryOutputMetric

__all__ = ['EveryOutputMetric']
