"""Full disks, read-only folders and Ctrl-C: one sentence, and the files written before stay."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from .processes import complaint, finish, fork, run_tool, start_tool
from .project import Project, make_project
from .rows import Row, row

RUNS = 48
"""Runs of each row, at most."""
PIPE_SIZE = 2**20
SIZES = (0, 1000, 10_000, 20_000, 50_000, 300_000)
NEW_NAMESPACE = 0x20000
"""CLONE_NEWNS of Linux: mounts that end with the process."""


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Run every tool that writes on limited files, a full disk, a read-only disk, and stop it."""
    (folder / 'project').mkdir()
    project = make_project(folder / 'project')
    yield row(
        'file size limit while a tool writes', islice(limited(project, limits(project)), runs)
    )
    yield mounted('full disk while a tool writes', full, project, runs)
    yield mounted('read-only disk', read_only, project, runs)
    yield row('Ctrl-C in a tool', islice(interrupted(project), runs))


def commands(project: Project, out: Path) -> dict[str, tuple[str, Sequence[object]]]:
    """Return for each kind of output the tool that writes it and its command line."""
    pictures = project.data / 'val2017'
    trained = project.config, project.checkpoint
    student = '--student', project.student
    return {
        'train': ('train.py', (project.config, '--work-dir', out / 'work')),
        'resume': (
            'train.py',
            (project.config, '--work-dir', out / 'resumed', '--resume', project.checkpoint,
             '--cfg-options', 'train_cfg.max_epochs=2'),
        ),
        'test --out': ('test.py', (*trained, '--work-dir', out, '--out', out / 'metrics.json')),
        'test --dump': ('test.py', (*trained, '--work-dir', out, '--dump', out / 'dump.pkl')),
        'export': ('export_student.py', (*trained, out / 'student', '--force')),
        'export --branch all': (
            'export_student.py', (*trained, out / 'all', '--branch', 'all', '--force')
        ),
        'convert': ('okdhp_config.py', (project.config, '-o', out / 'converted.py')),
        'infer': (
            'infer.py', (pictures, *student, '--out', out / 'infer', '--csv', '--coco', '--force')
        ),
    }  # fmt: skip


def written_before(out: Path) -> dict[Path, bytes]:
    """Write complete files of an earlier run where the tools write; return their content."""
    files = {}
    for name in (
        *('metrics.json', 'dump.pkl', 'converted.py', 'student/student.py', 'student/student.pth'),
        *('infer/poses.csv', 'infer/coco_results.json', 'infer/predictions/000000000001.json'),
    ):
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f'earlier {name}'.encode())
        files[file] = file.read_bytes()
    return files


def broken(out: Path, before: dict[Path, bytes]) -> str | None:
    """Return which file is neither the earlier one nor complete, if one is."""
    from okdhp_mm.errors import UserError
    from okdhp_mm.io.checkpoint import load_checkpoint

    for file in before:
        if not file.exists():
            return f'{file.name} is gone'
        if file.stat().st_size == 0:
            return f'{file.name} is empty'
    for file in (*out.rglob('*.json'), *out.rglob('*.pkl')):
        # A log may end anywhere.
        is_log = file.parent.name == 'vis_data'
        if not (is_log or file.read_bytes().startswith(b'earlier') or _is_complete(file)):
            return f'{file.name} is incomplete'
    for file in out.rglob('*.pth'):
        if file.read_bytes().startswith(b'earlier'):
            continue
        try:
            load_checkpoint(str(file))
        except UserError as error:
            return str(error)
    pair = [(out / 'student' / name).read_bytes() for name in ('student.py', 'student.pth')]
    if len({content.startswith(b'earlier') for content in pair}) > 1:
        return 'the student is half old and half new'
    left = [file.name for file in out.rglob('.*') if file.name.endswith('.tmp')]
    return f'{left} are left' if left else None


def _is_complete(file: Path) -> bool:
    content = file.read_bytes()
    if file.suffix == '.pkl':
        return content.endswith(pickle.STOP)
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def limits(project: Project) -> Iterator[tuple[str, int]]:
    """Yield a name of :func:`commands` and the largest size of a file."""
    yield from ((name, size) for size in SIZES for name in commands(project, Path()))


def limited(project: Project, limits: Iterable[tuple[str, int]]) -> Iterator[str | None]:
    """Run tools with a limit on the size of files."""
    log = project.folder / 'log'
    for name, size in limits:
        out = fresh(project.folder / 'limited')
        before = written_before(out)
        tool, arguments = commands(project, out)[name]
        # What the tool prints is limited too if it goes into a file.
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

        def limit(size=size, write_end=write_end) -> None:
            os.dup2(write_end, 1), os.dup2(write_end, 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        status = finish(start_tool(log, tool, *arguments, prepare=limit))
        os.close(write_end)
        with open(read_end, 'rb') as output:
            log.write_bytes(output.read())
        fault = complaint(status, log) or broken(out, before)
        yield fault and f'{name}, at most {size} bytes: {fault}'


def full(project: Project, folder: Path) -> Iterator[str | None]:
    """Run each tool on a disk with little space left."""
    out, rest = folder / 'out', folder / 'rest'
    for free in (0, 20_000, 200_000, 1_000_000):
        for name in commands(project, Path()):
            rest.unlink(missing_ok=True)
            before = written_before(fresh(out))
            space = os.statvfs(folder)
            rest.write_bytes(b'0' * max(0, space.f_bavail * space.f_frsize - free))
            tool, arguments = commands(project, out)[name]
            fault = run_tool(project.folder / 'log', tool, *arguments)
            fault = fault or broken(out, before)
            yield fault and f'{name}, {free} bytes left: {fault}'


def read_only(project: Project, folder: Path) -> Iterator[str | None]:
    """Run each tool with a folder that is read-only."""
    out = folder / 'out'
    before = written_before(fresh(out))
    mount('-o', 'remount,ro', folder)
    for name, (tool, arguments) in commands(project, out).items():
        log = project.folder / 'log'
        fault = run_tool(log, tool, *arguments)
        if fault is None and 'error: ' not in log.read_text():
            fault = 'ended with success'
        fault = fault or broken(out, before)
        yield fault and f'{name}: {fault}'


def interrupted(project: Project) -> Iterator[str | None]:
    """Send Ctrl-C to each tool at random moments, without end."""
    generator = random.Random(0)
    log = project.folder / 'log'
    durations = {}
    for name in cycle(commands(project, Path())):
        out = fresh(project.folder / 'interrupted')
        tool, arguments = commands(project, out)[name]
        if name not in durations:
            started = time.monotonic()
            run_tool(log, tool, *arguments)
            durations[name] = time.monotonic() - started
            fresh(out)
        before = written_before(out)
        process = start_tool(log, tool, *arguments)
        moment = generator.random() * durations[name]
        time.sleep(moment)
        os.kill(process, signal.SIGINT)
        fault = complaint(finish(process), log) or broken(out, before)
        yield fault and f'{name}, after {moment:.2f} s: {fault}'


def mounted(
    name: str,
    outcomes: Callable[[Project, Path], Iterator[str | None]],
    project: Project,
    runs: int,
) -> Row:
    """Return the row of runs in a small file system of their own, which ends with its process."""
    folder, results = project.folder / 'mounted', project.folder / 'outcomes'
    folder.mkdir(exist_ok=True)

    def work() -> None:
        signal.alarm(0)
        if ctypes.CDLL(None).unshare(NEW_NAMESPACE):
            return
        mount('--make-rprivate', '/')
        mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder)
        with open(results, 'w') as file:
            file.writelines(
                f'{outcome or ""}\n' for outcome in islice(outcomes(project, folder), runs)
            )

    results.unlink(missing_ok=True)
    status = finish(fork(work, project.folder / 'mount.log'))
    if not results.exists():
        return Row(f'{name} (left out: mounting is not permitted)', 0, 0)
    lines = [line or None for line in results.read_text().splitlines()]
    if status:
        lines.append((project.folder / 'mount.log').read_text()[-300:])
    return row(name, lines)


def mount(*arguments: object) -> None:
    """Call ``mount``."""
    subprocess.run(['mount', *map(str, arguments)], check=True)


def fresh(folder: Path) -> Path:
    """Return an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
