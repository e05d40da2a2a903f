"""Detectors, which find the persons in an image."""

from .build import build_detector
from .detector import Detector

__all__ = ['Detector', 'build_detector']
