"""A training's report: one HTML file with curves, costs and example predictions."""

from .training import reporting, write_report

__all__ = ['reporting', 'write_report']
