"""Pictures of heatmaps: pure functions from arrays to BGR images, without torch."""

from .strip import heatmap_strip

__all__ = ['heatmap_strip']
