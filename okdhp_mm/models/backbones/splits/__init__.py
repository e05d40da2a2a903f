"""Split families: where stock backbones can be cut, one file per family."""

from .base import Split, SplitFamily, State, Step, run_steps
from .chain import ChainSplit, Link
from .cpm import CPMSplit
from .cspnext import CSPNeXtSplit
from .find import find_family, find_split, split_points
from .hourglass import HourglassSplit
from .hrnet import HRNetSplit
from .litehrnet import LiteHRNetSplit
from .mobilenet import MobileNetSplit
from .resnet import ResNetSplit
from .shufflenet import ShuffleNetSplit
from .stacked_hourglass import StackedHourglassSplit
from .vision_transformer import VisionTransformerSplit

__all__ = [
    'CPMSplit',
    'CSPNeXtSplit',
    'ChainSplit',
    'HRNetSplit',
    'HourglassSplit',
    'Link',
    'LiteHRNetSplit',
    'MobileNetSplit',
    'ResNetSplit',
    'ShuffleNetSplit',
    'Split',
    'SplitFamily',
    'StackedHourglassSplit',
    'State',
    'Step',
    'VisionTransformerSplit',
    'find_family',
    'find_split',
    'run_steps',
    'split_points',
]
