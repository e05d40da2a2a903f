"""Killed trainings resume, and their later losses are those of an uninterrupted training."""

from __future__ import annotations

import builtins
import io
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from okdhp_mm.io import atomic

from .rows import Row, row
from .training import VARIANTS, config, finish, fork, import_all, losses, train

RUNS = 40


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Kill half of the trainings while they write, and the others at random moments."""
    import_all()
    variants = [variant for k, variant in enumerate(VARIANTS) if k < runs]
    for k, variant in enumerate(variants):
        share = len(range(k, runs, len(variants)))
        yield row(f'kill -9 in a training ({variant})', outcomes(variant, share, folder / variant))


def outcomes(variant: str, runs: int, folder: Path) -> Iterator[str | None]:
    """Kill trainings and yield None for each that resumes exactly, else what went wrong."""
    folder.mkdir(parents=True)
    whole, writes = folder / 'whole', folder / 'writes'
    started = time.monotonic()
    code = finish(
        fork(lambda: (Killer(writes), train(config(whole, variant), False)), folder / 'log')
    )
    duration = time.monotonic() - started
    if code:
        yield f'the whole training ended with {code}, see {folder / "log"}'
        return
    count = len(writes.read_text().splitlines())
    generator = random.Random(0)
    for k in range(runs):
        work_dir = folder / f'run{k}'
        work = partial(train, config(work_dir, variant), False)
        if k % 2:
            process = fork(work, folder / 'log')
            when = f'after {(moment := generator.uniform(0.1, 1) * duration):.1f} s'
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
            finish(process)
        else:
            step = round((k + 1) / max(runs, 2) * (count - 1))
            when = f'at "{writes.read_text().splitlines()[step]}"'
            finish(fork(lambda w=work, s=step: (Killer(None, s), w()), folder / 'log'))
        yield resumed(variant, work_dir, whole, when, folder / 'log')


def resumed(variant: str, work_dir: Path, whole: Path, when: str, log: Path) -> str | None:
    """Resume a killed training; return what differs from the whole training, if anything does."""
    code = finish(fork(lambda: train(config(work_dir, variant), True), log))
    if code:
        return f'{variant}, killed {when}: resuming ended with {code}, see {log}'
    found, expected = losses(work_dir), losses(whole)
    wrong = [step for step in expected if found.get(step) != expected[step]]
    return f'{variant}, killed {when}: the loss of step {wrong[0]} differs' if wrong else None


class Killer:
    """Kills its process at one event of its writing, or lists the events.

    Events are each file operation on ``.pth`` files and ``last_checkpoint``, and the middle of
    each write to a temporary file.

    Args:
        listing: File to append the events to.
        at: Index of the event to die at.
    """

    def __init__(self, listing: Path | None, at: int | None = None):
        self.listing = listing
        self.at = at
        self.count = 0
        sys.addaudithook(self.watch)
        atomic.open = self.open  # shadows the builtin in that module

    def watch(self, event: str, arguments: tuple) -> None:
        """Count renames and removals."""
        if event in ('os.rename', 'os.remove'):
            name = Path(str(arguments[event == 'os.rename'])).name
            # The temporary file was moved before it is removed.
            if not name.startswith('.'):
                self.happens(f'{event} {name}')

    def open(self, path: Path, mode: str):
        """Open a file whose writing has a middle."""
        if mode != 'wb':
            return builtins.open(path, mode)
        killer = self

        class Halves(io.FileIO):
            def write(self, content) -> int:
                super().write(content[: len(content) // 2])
                killer.happens(f'write {path.name.split(".")[1]}')
                return super().write(content[len(content) // 2 :])

        return Halves(path, 'wb')

    def happens(self, what: str) -> None:
        """Count an event, and die at the one that was chosen."""
        if 'epoch' not in what and 'last_checkpoint' not in what:
            return
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        if self.listing:
            with builtins.open(self.listing, 'a') as file:
                file.write(f'{what}\n')
