"""Head adapters: one file per kind of head."""

from .base import HeadAdapter
from .find import find_adapter
from .heatmap import HeatmapAdapter
from .simcc import SimCCAdapter

__all__ = ['HeadAdapter', 'HeatmapAdapter', 'SimCCAdapter', 'find_adapter']
