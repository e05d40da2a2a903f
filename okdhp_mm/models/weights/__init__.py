"""Weights of checkpoints, for models that differ from the one that was trained."""

from .fine_tune import fit_checkpoint

__all__ = ['fit_checkpoint']
