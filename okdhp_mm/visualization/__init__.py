"""Pictures of heatmaps and poses: pure functions from arrays to BGR images, without torch."""

from .colors import color_legend
from .pose import draw_pose
from .sheet import contact_sheet
from .strip import heatmap_strip

__all__ = ['color_legend', 'contact_sheet', 'draw_pose', 'heatmap_strip']
