"""Video: identities for poses, and networks that follow a pose from frame to frame.

Stands above models/ and deploy/; nothing below imports it.
"""

from .clips import ClipDataPreprocessor, ClipDataset, ClipMetric
from .dkd import (
    DKDPoseEstimator,
    LastHeatmaps,
    PoseKernels,
    PreviousHeatmaps,
    TemporalDiscriminator,
)
from .metric import TrackingMetric

__all__ = [
    'ClipDataPreprocessor',
    'ClipDataset',
    'ClipMetric',
    'DKDPoseEstimator',
    'LastHeatmaps',
    'PoseKernels',
    'PreviousHeatmaps',
    'TemporalDiscriminator',
    'TrackingMetric',
]
