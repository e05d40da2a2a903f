"""Hook that shows the progress of a training."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from ..evaluation.summary import OutputMetrics, output_metrics
from ..structures import ENSEMBLE
from .overview import overview

REFRESH = 0.1
"""Seconds between two drawings of a bar."""


@dataclass
class Interval:
    """An epoch, or the iterations between two validations in a loop without epochs.

    Attributes:
        title: For example 'epoch 3/40'.
        first: Its first iteration.
        size: Number of its iterations.
        start: Time when this process started it.
    """

    title: str
    first: int
    size: int
    start: float = field(default_factory=time.monotonic)


class TerminalHook(Hook):
    """Shows an overview, the progress of every epoch, and a table after every validation.

    On a terminal, every epoch has a bar. Elsewhere (a file, CI), every epoch has one line. The bars
    are drawn by the training process itself: a thread could hold a lock of the console while the
    data loader forks its workers.

    Args:
        console: Console to print on.
    """

    priority = 'LOWEST'  # after the CheckpointHook, so that it knows the best checkpoint

    def __init__(self, console: Console):
        self.console = console
        self.live = console.is_terminal and not console.is_dumb_terminal
        self._bar: Bar | None = None
        self._interval: Interval | None = None
        self._line = ''
        self._introduced = False
        self._first = 0
        self._start = 0.0

    def say(self, text: str) -> None:
        """Print lines as they are, without breaking long ones."""
        self.console.print(text, markup=False, soft_wrap=True)

    def before_train(self, runner: Runner) -> None:
        """Print the overview."""
        self._introduce(runner)
        self._first, self._start = runner.iter, time.monotonic()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Start a bar if a new epoch starts."""
        if self._interval is None:
            self._flush()
            self._interval = current_interval(runner)
            if self.live:
                self._bar = Bar(self.console, self._interval.title, self._interval.size)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Draw the bar."""
        assert self._interval is not None  # the iteration belongs to one
        done = runner.iter + 1 - self._interval.first
        ends = done == self._interval.size
        if not ends and not (self._bar and self._bar.is_due()):
            return
        loss, left = self._loss(runner, done), self._time_left(runner)
        if self._bar:
            self._bar.draw(done, f'loss {loss}  ETA {left}')
        if ends:
            if not self.live:
                took = duration(time.monotonic() - self._interval.start)
                self._line = f'{self._interval.title}  loss {loss}  took {took}  ETA {left}'
            self._stop_bar()
            self._interval = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Start the bar of the validation, which disappears afterwards."""
        self._introduce(runner)  # a resumed training may start with a validation
        if self.live:
            self._bar = Bar(self.console, 'validation', len(runner.val_dataloader), True)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Draw the bar of the validation."""
        if self._bar and self._bar.is_due():
            self._bar.draw(batch_idx + 1, '')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the metric of the deployed branch and of the ensemble."""
        self._stop_bar()
        outputs = output_metrics(runner)
        if outputs.deployed not in outputs.by_output:
            return
        if self.live:
            self.console.print(table_of(outputs))
        else:
            self._line = '  '.join(filter(None, [self._line, line_of(outputs)]))
            self._flush()

    def close(self) -> None:
        """Restore the terminal, also after an error."""
        self._stop_bar()
        self._flush()

    def _introduce(self, runner: Runner) -> None:
        if not self._introduced:
            self.say(overview(runner))
        self._introduced = True

    def _flush(self) -> None:
        if self._line:
            self.say(self._line)
        self._line = ''

    def _stop_bar(self) -> None:
        if self._bar:
            self._bar.stop()
        self._bar = None

    def _loss(self, runner: Runner, steps: int) -> str:
        if 'train/loss' not in runner.message_hub.log_scalars:
            return '-'
        # Already fetched from the device, by mmengine's RuntimeInfoHook.
        return f'{runner.message_hub.get_scalar("train/loss").mean(steps):.4g}'

    def _time_left(self, runner: Runner) -> str:
        done = runner.iter + 1 - self._first
        step = (time.monotonic() - self._start) / done
        return duration(step * (runner.max_iters - runner.iter - 1))


class Bar:
    """Progress bar of one task.

    Args:
        console: Console to draw on.
        title: Text before the bar.
        size: Number of steps.
        transient: Whether to remove the bar at its end.
    """

    def __init__(self, console: Console, title: str, size: int, transient: bool = False):
        columns = (
            TextColumn('{task.description}', markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('{task.fields[note]}', markup=False),
        )
        self._progress = Progress(
            *columns, console=console, auto_refresh=False, transient=transient
        )
        self._task = self._progress.add_task(title, total=size, note='')
        self._drawn = 0.0
        self._progress.start()

    def is_due(self) -> bool:
        """Return whether the last drawing is old enough for a new one."""
        return time.monotonic() - self._drawn >= REFRESH

    def draw(self, done: int, note: str) -> None:
        """Draw the bar.

        Args:
            done: Number of steps that are over.
            note: Text behind the bar.
        """
        self._progress.update(self._task, completed=done, note=note, refresh=True)
        self._drawn = time.monotonic()

    def stop(self) -> None:
        """End the bar."""
        self._progress.stop()


def current_interval(runner: Runner) -> Interval:
    """Return the interval that starts or continues with the current iteration."""
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        # A resumed training may start in the middle.
        end = min(loop.iter - loop.iter % loop.val_interval + loop.val_interval, loop.max_iters)
        return Interval(f'iteration {end}/{loop.max_iters}', loop.iter, end - loop.iter)
    return Interval(f'epoch {loop.epoch + 1}/{loop.max_epochs}', loop.iter, len(loop.dataloader))


def table_of(outputs: OutputMetrics) -> Table:
    """Return the table of a validation."""
    table = Table(box=None, pad_edge=False)
    table.add_column(outputs.metric or '')
    for heading in ('now', 'best so far'):
        table.add_column(heading, justify='right')
    for name in (outputs.deployed, ENSEMBLE):
        if name in outputs.by_output:
            label = f'{name} (deployed)' if is_branch(outputs, name) else name
            now, best = outputs.by_output[name][-1], outputs.best(name)
            table.add_row(label, f'{now:.4f}', f'{best:.4f}')
    return table


def line_of(outputs: OutputMetrics) -> str:
    """Return the metrics of a validation in one line."""
    now, best = outputs.by_output[outputs.deployed][-1], outputs.best(outputs.deployed)
    parts = [f'{now:.4f} (best {best:.4f})']
    if is_branch(outputs, outputs.deployed) and ENSEMBLE in outputs.by_output:
        parts = [
            f'{outputs.deployed} {parts[0]}',
            f'ensemble {outputs.by_output[ENSEMBLE][-1]:.4f}',
        ]
    return f'{outputs.metric} {", ".join(parts)}'


def is_branch(outputs: OutputMetrics, name: str) -> bool:
    """Return whether an output is the deployed one of several."""
    return name == outputs.deployed and len(outputs.by_output) > 1 and name != ENSEMBLE


def duration(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))
