"""What runs beside the model."""

from .heatmap_strips import BranchVisualizationHook
from .hooks import EMAUpdateHook
from .layer_decay import BranchLayerDecayOptimWrapperConstructor
from .progress import DistillProgressHook
from .report import DistillReportHook
from .summary import branch_table
from .trained_branches import TrainedBranches

__all__ = [
    'BranchLayerDecayOptimWrapperConstructor',
    'BranchVisualizationHook',
    'DistillProgressHook',
    'DistillReportHook',
    'EMAUpdateHook',
    'TrainedBranches',
    'branch_table',
]
