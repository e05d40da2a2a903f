"""Run functions and tools in copies of this process, which has imported everything already."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

TOOLS = Path(__file__).parents[2] / 'tools'
PATIENCE = 600
"""Seconds after which a process counts as hanging. On a busy machine a training takes minutes."""


def fork(work: Callable[[], None], log: Path) -> int:
    """Start a function in a copy of this process.

    Args:
        work: The function.
        log: File for what it prints.

    Returns:
        The id of the process.
    """
    sys.stdout.flush(), sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        signal.alarm(PATIENCE)
        torch.set_num_threads(1)  # the threads of OpenMP do not survive the fork
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1), os.dup2(output, 2)
        # Not those of a caller such as pytest, which keep what they get.
        sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


def finish(process: int) -> int:
    """Wait for a process; return its exit status, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def start_tool(
    log: Path, tool: str, *arguments: object, prepare: Callable[[], None] | None = None
) -> int:
    """Start a script of ``tools/``.

    Args:
        log: File for what it prints, emptied first.
        tool: Name of the script.
        arguments: Its command line.
        prepare: Function that the process calls first.

    Returns:
        The id of the process.
    """

    def work() -> None:
        if prepare:
            prepare()
        sys.argv = [tool, *map(str, arguments)]
        runpy.run_path(str(TOOLS / tool), run_name='__main__')

    log.unlink(missing_ok=True)
    return fork(work, log)


def run_tool(
    log: Path, tool: str, *arguments: object, prepare: Callable[[], None] | None = None
) -> str | None:
    """Run a script of ``tools/``, see :func:`start_tool`; return its :func:`complaint`."""
    return complaint(finish(start_tool(log, tool, *arguments, prepare=prepare)), log)


def complaint(status: int, log: Path) -> str | None:
    """Return what is wrong with the end of a tool: None for success or one sentence."""
    output = log.read_text(errors='replace')
    if 'Traceback' in output or 'Logging error' in output:
        return f'traceback: {output.rstrip().splitlines()[-1]}'
    if status == -signal.SIGALRM:
        return f'hangs after {PATIENCE} s'
    if status < 0:
        return f'died of {signal.Signals(-status).name}'
    if status and not any('error: ' in line for line in output.splitlines()):
        return f'ended with {status} and without a sentence'
    return None
