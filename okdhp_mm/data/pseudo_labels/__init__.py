"""Pseudo-labels: keypoints that another model found in pictures, as labels of a training."""

from .transform import WithPseudoLabels

__all__ = ['WithPseudoLabels']
