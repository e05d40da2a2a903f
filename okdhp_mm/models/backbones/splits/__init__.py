"""Where stock backbones can be cut: one file per family."""

from .base import Split, SplitFamily, Step, find_family, find_split, run_steps, split_points
from .chain import ChainSplit, Link
from .cspnext import CSPNeXtSplit
from .hourglass import HourglassSplit
from .hrnet import HRNetSplit
from .litehrnet import LiteHRNetSplit
from .mobilenet import MobileNetSplit
from .resnet import ResNetSplit
from .shufflenet import ShuffleNetSplit
from .stacked_hourglass import StackedHourglassSplit

FAMILIES: tuple[SplitFamily, ...] = (
    HRNetSplit(),
    LiteHRNetSplit(),
    ResNetSplit(),
    MobileNetSplit(),
    ShuffleNetSplit(),
    CSPNeXtSplit(),
    HourglassSplit(),
    StackedHourglassSplit(),
)
"""Every family that knows how to be cut. Add yours here; CONTRIBUTING.md shows how."""

__all__ = [
    'FAMILIES',
    'ChainSplit',
    'Link',
    'Split',
    'SplitFamily',
    'Step',
    'find_family',
    'find_split',
    'run_steps',
    'split_points',
]
