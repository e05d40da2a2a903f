"""Video: identities for poses. Stands above models/ and deploy/; nothing below imports it."""

from .metric import TrackingMetric

__all__ = ['TrackingMetric']
