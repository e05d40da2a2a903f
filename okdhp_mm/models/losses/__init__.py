"""Losses between heatmaps."""

from .kl_heatmap import KLHeatmapLoss

__all__ = ['KLHeatmapLoss']
