"""Checks of datasets before a training, and pictures that cannot be read during one."""

from .pseudo_labels import WithPseudoLabels

__all__ = ['WithPseudoLabels']
