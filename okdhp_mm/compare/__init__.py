"""Compare methods over seeds: train a config with each, or read finished trainings."""

from .plan import PlannedRun, plan
from .report import write_comparison
from .runs import Run, check_comparable, read_runs
from .train import train_all

__all__ = [
    'PlannedRun',
    'Run',
    'check_comparable',
    'plan',
    'read_runs',
    'train_all',
    'write_comparison',
]
