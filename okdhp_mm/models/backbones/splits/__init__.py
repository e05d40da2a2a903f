"""Where stock backbones can be cut: one file per family."""

from .base import Split, SplitFamily, Step, find_split, run_steps
from .hrnet import HRNetSplit
from .resnet import ResNetSplit

FAMILIES: tuple[SplitFamily, ...] = (HRNetSplit(), ResNetSplit())
"""Every family that knows how to be cut. Add yours here; CONTRIBUTING.md shows how."""

__all__ = ['FAMILIES', 'Split', 'SplitFamily', 'Step', 'find_split', 'run_steps']
