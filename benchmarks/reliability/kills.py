"""Killed trainings resume, and their later losses are those of an uninterrupted training."""

from __future__ import annotations

import builtins
import io
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from okdhp_mm.io import atomic

from .processes import finish, fork
from .rows import Row, row
from .training import VARIANTS, config, import_all, lines_of, losses, train

RUNS = 40


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Kill half of the trainings while they write, and the others at random moments."""
    import_all()
    moments = spread(runs)
    for k, variant in enumerate(VARIANTS):
        if mine := moments[k :: len(VARIANTS)]:
            outcomes = killed(variant, mine, folder / variant)
            yield row(f'kill -9 in a training ({variant})', outcomes)


def spread(runs: int) -> list[tuple[bool, float]]:
    """Return for each run whether to kill in a write, and the share of writes or time."""
    generator = random.Random(0)
    writes = [(True, (k + 0.5) / (runs - runs // 2)) for k in range(runs - runs // 2)]
    times = [(False, generator.uniform(0.1, 1)) for _ in range(runs // 2)]
    # Every variant gets both kinds, and writes of every part of its training.
    order = list(range(runs))
    generator.shuffle(order)
    moments = [*writes, *times]
    return [moments[k] for k in order]


def killed(
    variant: str, moments: Sequence[tuple[bool, float]], folder: Path
) -> Iterator[str | None]:
    """Kill trainings and yield None for each that resumes exactly, else what went wrong.

    Args:
        variant: One of ``VARIANTS``.
        moments: What :func:`spread` returned.
        folder: Folder for the trainings, created.
    """
    folder.mkdir(parents=True)
    whole, writes, log = folder / 'whole', folder / 'writes', folder / 'log'
    started = time.monotonic()
    code = finish(fork(lambda: (Killer(writes), train(config(whole, variant), False)), log))
    duration = time.monotonic() - started
    if code:
        yield f'the whole training ended with {code}: {log.read_text()[-300:]}'
        return
    events = writes.read_text().splitlines()
    for k, (in_write, share) in enumerate(moments):
        work_dir = folder / f'run{k}'
        work = partial(train, config(work_dir, variant), False)
        if in_write:
            at = int(share * len(events))
            when = f'at "{events[at]}", event {at} of {len(events)}'
            status = finish(fork(lambda w=work, at=at: (Killer(None, at), w()), log))
            if status != -signal.SIGKILL:
                yield f'{variant}: the training was not killed {when}'
                continue
        else:
            when = f'after {share * duration:.1f} s'
            process = fork(work, log)
            time.sleep(share * duration)
            os.kill(process, signal.SIGKILL)
            finish(process)
        fault = resumed(variant, work_dir, whole, log)
        yield fault and f'{variant}, killed {when}: {fault}'


def resumed(variant: str, work_dir: Path, whole: Path, log: Path) -> str | None:
    """Resume a killed training; return what differs from the whole training, if anything does."""
    reached = any(path.name.startswith('epoch_') for path in work_dir.glob('*.pth'))
    before = len(lines_of(work_dir))
    code = finish(fork(lambda: train(config(work_dir, variant), True), log))
    if code:
        return f'resuming ended with {code}: {log.read_text()[-300:]}'
    lines = lines_of(work_dir)
    if reached and any(line.startswith('0 ') for line in lines[before:]):
        return 'a checkpoint was there, but the training started anew'
    return difference(work_dir, whole)


def difference(work_dir: Path, whole: Path) -> str | None:
    """Return how losses and files of two trainings differ, if they do."""
    found, expected = losses(lines_of(work_dir)), losses(lines_of(whole))
    if wrong := [step for step in expected if found.get(step) != expected[step]]:
        return f'the loss of step {wrong[0]} differs'
    names = [
        sorted(path.name for path in each.glob('*') if path.suffix in ('.pth', '.tmp'))
        for each in (work_dir, whole)
    ]
    return None if names[0] == names[1] else f'the files are {names[0]}, not {names[1]}'


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
