"""Distillation methods, built from loss terms.

A method is an aggregator and a list of terms. Each has a file in ``configs/_base_/methods``:

=========  ==================  ====================================================================
OKDHP      FAU                 SupervisedTerm(branches, ensemble), DistillTerm(ensemble -> all)
ONE        Gate                the same
CL-ILR     MeanAggregator      SupervisedTerm(branches), DistillTerm(ensemble -> all);
                               trunk_grad='mean'
KDCL       BestBranch          SupervisedTerm(branches), DistillTerm(ensemble -> all)
DML        none                SupervisedTerm(branches), MutualTerm(by='branches')
OKDDip     PeerAttention       SupervisedTerm(branches), PeerDistillTerm
FFL        FeatureFusion       SupervisedTerm(branches, ensemble), DistillTerm(ensemble -> all),
                               DistillTerm(mean -> ensemble)
PCL        FeatureFusion       SupervisedTerm(branches, ensemble), DistillTerm(ensemble -> all),
                               MutualTerm(by='ema'); views, ema
MCL-OKD    MeanAggregator      SupervisedTerm(branches), ContrastiveTerm,
                               DistillTerm(ensemble -> branch 0)
FPD        MeanAggregator      SupervisedTerm(branches), DistillTerm(frozen -> all); one branch,
                               a teacher
head only  MeanAggregator      the same; freeze_backbone
=========  ==================  ====================================================================
"""

from .contrast import ContrastiveTerm
from .diagnosis import Diagnosis, diagnose
from .distiller import Distiller
from .schedules import GaussianRampUp
from .teaching import DistillTerm, MutualTerm, PeerDistillTerm, Teaching
from .terms import SupervisedTerm, Term

__all__ = [
    'ContrastiveTerm',
    'Diagnosis',
    'Distiller',
    'GaussianRampUp',
    'MutualTerm',
    'SupervisedTerm',
    'DistillTerm',
    'PeerDistillTerm',
    'Teaching',
    'Term',
    'diagnose',
]
