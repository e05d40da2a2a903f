"""Hooks, optimizers and runners of the training."""

from .hooks import EMAUpdateHook
from .hooks.branched_checkpoint import BranchedCheckpointHook
from .hooks.heatmap_vis import BranchVisualizationHook
from .hooks.progress import DistillProgressHook
from .hooks.report import DistillReportHook
from .hooks.save_metrics import SaveMetricsHook
from .optim.layer_decay import BranchLayerDecayOptimWrapperConstructor

__all__ = [
    'BranchLayerDecayOptimWrapperConstructor',
    'BranchVisualizationHook',
    'DistillProgressHook',
    'DistillReportHook',
    'EMAUpdateHook',
    'SaveMetricsHook',
    'BranchedCheckpointHook',
]
