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
unlabeled  FAU                 those of OKDHP, UnlabeledTerm(EMA ensemble -> branches); unlabeled
mean       MeanAggregator      SupervisedTerm(branches), UnlabeledTerm(EMA -> branch); one branch,
teacher                        unlabeled
PoseDual   MeanAggregator      SupervisedTerm(branches), UnlabeledTerm(the other branch -> branch);
                               unlabeled
=========  ==================  ====================================================================
"""

from .diagnosis import Diagnosis, diagnose
from .distiller import Distiller
from .schedules import GaussianRampUp
from .terms.base import Term
from .terms.contrastive import ContrastiveTerm
from .terms.distill import DistillTerm, PeerDistillTerm
from .terms.mutual import MutualTerm
from .terms.supervised import SupervisedTerm
from .terms.teacher_student import TeacherStudentPair, TeacherStudentTerm
from .terms.unlabeled import UnlabeledTerm

__all__ = [
    'ContrastiveTerm',
    'Diagnosis',
    'DistillTerm',
    'Distiller',
    'GaussianRampUp',
    'MutualTerm',
    'PeerDistillTerm',
    'SupervisedTerm',
    'TeacherStudentPair',
    'TeacherStudentTerm',
    'Term',
    'UnlabeledTerm',
    'diagnose',
]
