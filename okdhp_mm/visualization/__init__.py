"""Pictures of heatmaps and poses: pure functions from arrays to BGR images, without torch."""

from .colors import color_legend
from .pose import draw_pose
from .strip import heatmap_strip

__all__ = ['color_legend', 'draw_pose', 'heatmap_strip']
