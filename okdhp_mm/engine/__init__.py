"""What runs beside the model."""

from .progress import DistillProgressHook

__all__ = ['DistillProgressHook']
