"""Hooks, optimizers and runners of the training."""

from .hooks import EMAUpdateHook
from .hooks.heatmap_vis import BranchVisualizationHook
from .hooks.progress import DistillProgressHook
from .hooks.report import DistillReportHook
from .hooks.save_metrics import SaveMetricsHook
from .hooks.trained_branches import TrainedBranches
from .optim.layer_decay import BranchLayerDecayOptimWrapperConstructor

__all__ = [
    'BranchLayerDecayOptimWrapperConstructor',
    'BranchVisualizationHook',
    'DistillProgressHook',
    'DistillReportHook',
    'EMAUpdateHook',
    'SaveMetricsHook',
    'TrainedBranches',
]
