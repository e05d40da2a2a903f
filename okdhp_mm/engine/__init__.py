"""What runs beside the model."""

from .hooks import DistillProgressHook

__all__ = ['DistillProgressHook']
