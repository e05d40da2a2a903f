"""Distillation methods, built from loss terms.

A method is an aggregator and a list of terms. Each has a file in ``configs/_base_/methods``:

=========  ==================  ====================================================================
OKDHP      FAU                 Supervise(branches, ensemble), Teach(ensemble -> all)
ONE        Gate                the same
CL-ILR     MeanAggregator      Supervise(branches), Teach(ensemble -> all); split_gradient='mean'
KDCL       BestBranch          Supervise(branches), Teach(ensemble -> all)
DML        none                Supervise(branches), Mutual(by='branches')
OKDDip     PeerAttention       Supervise(branches), TeachOwn
FFL        FeatureFusion       Supervise(branches, ensemble), Teach(ensemble -> all),
                               Teach(mean -> ensemble)
PCL        FeatureFusion       Supervise(branches, ensemble), Teach(ensemble -> all),
                               Mutual(by='ema'); views, ema
MCL-OKD    MeanAggregator      Supervise(branches), Contrast, Teach(ensemble -> branch 0)
FPD        MeanAggregator      Supervise(branches), Teach(frozen -> all); one branch, a teacher
head only  MeanAggregator      the same; freeze_backbone
=========  ==================  ====================================================================
"""

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
