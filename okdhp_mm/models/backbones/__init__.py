"""Backbones."""

from .branched import BranchedBackbone
from .stacked_hourglass import StackedHourglass

__all__ = ['BranchedBackbone', 'StackedHourglass']
