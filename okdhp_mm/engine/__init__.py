"""What runs beside the model."""

from .heatmap_strips import BranchVisualizationHook
from .layer_decay import BranchLayerDecayOptimWrapperConstructor
from .progress import DistillProgressHook
from .report import DistillReportHook
from .summary import branch_table

__all__ = [
    'BranchLayerDecayOptimWrapperConstructor',
    'BranchVisualizationHook',
    'DistillProgressHook',
    'DistillReportHook',
    'branch_table',
]
