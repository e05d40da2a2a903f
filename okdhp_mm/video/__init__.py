"""Video: identities for poses, and clips of one person.

Stands above models/ and deploy/; nothing below imports it.
"""

from .clips import ClipDataPreprocessor, ClipDataset, ClipMetric
from .metric import TrackingMetric

__all__ = ['ClipDataPreprocessor', 'ClipDataset', 'ClipMetric', 'TrackingMetric']
