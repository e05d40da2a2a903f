"""Load checkpoints into models that differ from the trained model."""

from .fine_tune import fit_checkpoint

__all__ = ['fit_checkpoint']
