"""Backbones."""

from .branched import BranchedBackbone

__all__ = ['BranchedBackbone']
