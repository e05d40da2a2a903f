"""Train the planned runs, each in a process of its own; finished ones are not repeated."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..io.atomic import write_text
from ..io.config import config_text
from .plan import PlannedRun
from .runs import CONFIG, Run, read_run


def train_all(planned: Sequence[PlannedRun], command: Sequence[str]) -> list[Run]:
    """Train all runs that are not finished, and return all.

    Args:
        planned: The runs.
        command: Command of ``tools/train.py``; config and options are added to it.

    Raises:
        UserError: Before the first training, if a folder has a run with other settings; if a
            training fails.
    """
    for run in planned:
        check_settings(run)
    return [finish(run, command, f'{i} of {len(planned)}') for i, run in enumerate(planned, 1)]


def check_settings(run: PlannedRun) -> None:
    """Check that a run which has begun has the planned settings.

    Raises:
        UserError: If it has others.
    """
    if run.file.is_file() and run.file.read_text() != config_text(run.config):
        raise UserError(
            f'{run.file} holds other settings than this comparison: the config, the method or the '
            'package has changed. Choose another --out, or remove it and its folder.'
        )


def finish(run: PlannedRun, command: Sequence[str], position: str) -> Run:
    """Train a run, or what is left of it; return the finished run."""
    print(f'[{position}] {run.method}, seed {run.seed}: {run.folder}', flush=True)
    try:
        return read_run(run.folder, run.method)
    except UserError:  # not finished
        pass
    run.folder.mkdir(parents=True, exist_ok=True)
    write_text(run.file, config_text(run.config))
    resume = ['--resume'] if any(run.folder.glob(CONFIG)) else []
    train([*command, str(run.file), '--work-dir', str(run.folder), *resume], run.folder)
    return read_run(run.folder, run.method)


def train(command: list[str], folder: Path) -> None:
    """Run a training until it ends.

    Raises:
        UserError: If it fails.
    """
    process = subprocess.Popen(command)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()  # Ctrl-C reaches the training, too; let it save its checkpoint
        raise
    if code:
        raise UserError(
            f'The training in {folder} ended with exit code {code}; its messages are above. The '
            'same command goes on.'
        )
