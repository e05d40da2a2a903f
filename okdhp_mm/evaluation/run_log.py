"""Read the curves that a training has logged, from the ``scalars.json`` of mmengine."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..structures import ENSEMBLE
from .summary import OUTPUT

FILE = 'scalars.json'
DIAGNOSES = ('kd/', 'branches/', 'weights/')
"""Prefixes of the names that ``DistillReportHook`` logs."""
CLOCKS = ('data_time', 'time', 'memory', 'epoch', 'iter', 'step')
"""Names in a line that are not curves."""

Curves = dict[str, dict[int, float]]
"""Finite values by step, by name."""


@dataclass(frozen=True)
class RunLog:
    """Curves of a training.

    Attributes:
        training: Losses, rates and diagnoses by iteration.
        validation: Metrics by epoch, or by iteration if the training counts iterations.
    """

    training: Curves = field(default_factory=dict)
    validation: Curves = field(default_factory=dict)

    def by_output(self, metric: str, deployed: str) -> Curves:
        """Return the curves of a metric by output, the branches first.

        Args:
            metric: Name of the metric, e.g. ``coco/AP``.
            deployed: Name of the deployed output, which has the metric without a prefix.
        """
        found = {
            name.removesuffix(metric).rstrip('/') or deployed: curve
            for name, curve in self.validation.items()
            if name == metric or (output := OUTPUT.match(name)) and output['metric'] == metric
        }
        return dict(sorted(found.items(), key=lambda entry: (entry[0] == ENSEMBLE, entry[0])))


def read_run_log(work_dir: str | os.PathLike) -> RunLog:
    """Read the last training in a work directory, with the parts before it was resumed.

    Args:
        work_dir: Work directory of the training; it may have no logs.
    """
    log = RunLog()
    for file in sorted(Path(work_dir).glob(f'*/vis_data/{FILE}')):
        later = read_file(file)
        log = joined(log, later) if first_step(log.training) < first_step(later.training) else later
    return log


def read_file(file: Path) -> RunLog:
    """Read one ``scalars.json``."""
    log = RunLog()
    for line in lines_of(file):
        diagnosis = all(name.startswith((*DIAGNOSES, *CLOCKS)) for name in line)
        curves = log.training if 'iter' in line or diagnosis else log.validation
        for name, value in line.items():
            if name not in CLOCKS and isinstance(value, (int, float)) and math.isfinite(value):
                curves.setdefault(name, {})[line['step']] = value
    return log


def lines_of(file: Path) -> Iterator[dict]:
    """Yield the complete lines of a log."""
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # a killed training leaves a line that is cut off
            continue
        if isinstance(entry, dict) and isinstance(entry.get('step'), int):
            yield entry


def first_step(curves: Curves) -> float:
    """Return the first step of the curves; infinity without any."""
    return min((step for curve in curves.values() for step in curve), default=math.inf)


def joined(log: RunLog, later: RunLog) -> RunLog:
    """Return a log with the part that a resumed training added; it does some steps again."""
    return RunLog(resumed(log.training, later.training), resumed(log.validation, later.validation))


def resumed(curves: Curves, later: Curves) -> Curves:
    """Return curves up to where the later ones begin, and those."""
    start = first_step(later)
    kept = {
        name: {step: value for step, value in curve.items() if step < start}
        for name, curve in curves.items()
    }
    both = {name: kept.get(name, {}) | later.get(name, {}) for name in kept | later}
    return {name: curve for name, curve in both.items() if curve}
