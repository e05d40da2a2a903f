"""Teachers outside of the branches, one kind per file."""

from .base import Teacher
from .ema import EMA
from .frozen import FrozenTeacher

__all__ = ['EMA', 'FrozenTeacher', 'Teacher']
