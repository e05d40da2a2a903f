"""Timing that a busy machine cannot fool: all sides take turns, and the ratio is what counts.

And memory, of one side in a process of its own.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def take_turns(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 1,
    clock: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    """Return the seconds of every side in every round, after the rounds of warm-up.

    The default clock is the CPU time of the process with one thread on the CPU, which other
    processes hardly change. Several threads, or a GPU, are timed by the wall clock.
    """
    if clock is None:
        alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
        clock = time.process_time if alone else time.perf_counter
    seconds = {name: [] for name in sides}
    for round_ in range(-warm_up, repeats):
        for name, run in sides.items():
            synchronize()
            start = clock()
            run()
            synchronize()
            if round_ >= 0:
                seconds[name].append(clock() - start)
    return seconds


def report(seconds: dict[str, list[float]], reference: str) -> None:
    """Print every side, and its ratio to the reference: median over rounds of paired ratios."""
    print(f'{"":28}{"min":>10}{"median":>10}   ratio to {reference} (quartiles)')
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[reference], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f'{name:28}{min(values):9.4f}s{statistics.median(values):9.4f}s   '
            f'{middle:.3f} ({low:.3f} .. {high:.3f})'
        )


def memory_of(run: Callable[[], None]) -> float:
    """MiB that a run needs at its peak on top of what is there before; of the GPU if there is one.

    Once in a process: the peak is that of all its life, and nothing before may have needed more.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    before = pages * resource.getpagesize() / 2**20
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
