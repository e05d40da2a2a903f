"""What runs beside the model."""

from .heatmap_strips import BranchVisualizationHook
from .progress import DistillProgressHook
from .report import DistillReportHook
from .summary import branch_table

__all__ = [
    'BranchVisualizationHook',
    'DistillProgressHook',
    'DistillReportHook',
    'branch_table',
]
