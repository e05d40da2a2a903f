"""Where stock backbones can be cut: one file per family."""

from .base import Split, SplitFamily, State, Step, run_steps
from .chain import ChainSplit, Link
from .families import FAMILIES, find_family, find_split, split_points

__all__ = [
    'FAMILIES',
    'ChainSplit',
    'Link',
    'Split',
    'SplitFamily',
    'State',
    'Step',
    'find_family',
    'find_split',
    'run_steps',
    'split_points',
]
