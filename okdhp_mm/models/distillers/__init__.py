"""Distillation methods, made of terms."""

from .diagnosis import Diagnosis, diagnose
from .distiller import Distiller
from .schedules import GaussianRampUp
from .terms import Supervise, Teach, Term

__all__ = [
    'Diagnosis',
    'Distiller',
    'GaussianRampUp',
    'Supervise',
    'Teach',
    'Term',
    'diagnose',
]
