"""Distillation methods, made of terms."""

from .distiller import Distiller
from .schedules import GaussianRampUp
from .terms import Supervise, Teach, Term

__all__ = ['Distiller', 'GaussianRampUp', 'Supervise', 'Teach', 'Term']
