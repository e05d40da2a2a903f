"""Teachers outside of the branches, one kind per file."""

from .base import Teacher
from .ema import EMA
from .frozen import FrozenTeacher
from .pseudo_labels import PSEUDO, PseudoLabelTeacher

__all__ = ['EMA', 'PSEUDO', 'FrozenTeacher', 'PseudoLabelTeacher', 'Teacher']
