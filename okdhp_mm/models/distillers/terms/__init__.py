"""Loss terms: one family per file."""

from .base import Term
from .contrastive import ContrastiveTerm
from .distill import DistillTerm, PeerDistillTerm
from .mutual import MutualTerm
from .supervised import SupervisedTerm
from .teacher_student import TeacherStudentPair, TeacherStudentTerm
from .unlabeled import UnlabeledTerm

__all__ = [
    'ContrastiveTerm',
    'DistillTerm',
    'MutualTerm',
    'PeerDistillTerm',
    'SupervisedTerm',
    'TeacherStudentPair',
    'TeacherStudentTerm',
    'Term',
    'UnlabeledTerm',
]
