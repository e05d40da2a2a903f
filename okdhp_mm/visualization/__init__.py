"""Pictures of heatmaps and poses: pure functions from arrays to BGR images, without torch."""

from .pose import draw_pose
from .strip import heatmap_strip

__all__ = ['draw_pose', 'heatmap_strip']
