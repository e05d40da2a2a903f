"""Distillation methods, made of terms."""

from .contrast import Contrast
from .diagnosis import Diagnosis, diagnose
from .distiller import Distiller
from .schedules import GaussianRampUp
from .teaching import Mutual, Teach, Teaching, TeachOwn
from .terms import Supervise, Term

__all__ = [
    'Contrast',
    'Diagnosis',
    'Distiller',
    'GaussianRampUp',
    'Mutual',
    'Supervise',
    'Teach',
    'TeachOwn',
    'Teaching',
    'Term',
    'diagnose',
]
