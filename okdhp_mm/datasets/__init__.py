"""Datasets of this package."""
