"""Write files so that a crash, a full disk or Ctrl-C leaves the old file or the new one, complete.

Content goes to a temporary file in the same folder, reaches the disk, and then takes the place of
the old file in one step (``os.replace``).
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = '.tmp'
"""Suffix of files and folders that are not complete yet; their names start with a dot."""


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path to write to; at the end that file takes the place of ``path``.

    If the block raises, the temporary file is removed and ``path`` stays as it was. A link stays a
    link: the file it points to is replaced. A device or a pipe (``/dev/stdout``) is written to.

    Args:
        path: File to write, in a folder that exists.

    Raises:
        OSError: If the file cannot be written; its ``filename`` is ``path``.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
    except OSError as error:
        # A full disk is reported without a name, and the temporary name would tell users nothing.
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file that is complete or, after an error, as it was before."""
    with atomic_write(path) as temporary, open(temporary, 'wb') as file:
        file.write(content)


def write_text(path: str | os.PathLike, content: str) -> None:
    """Write a UTF-8 text file that is complete or, after an error, as it was before."""
    write_bytes(path, content.encode())


@contextmanager
def atomic_write_folder(folder: str | os.PathLike, obsolete: Iterable[str] = ()) -> Iterator[Path]:
    """Give an empty folder; at the end its files take their places in ``folder``.

    If the block raises, ``folder`` stays as it was, and is not created if it did not exist.
    Nothing is moved before every file is on the disk. Only a process that is killed between two
    moves, each a single step of the file system, leaves old and new files side by side.

    Args:
        folder: Folder of the files, created if it does not exist.
        obsolete: Names of files that belong to the old files. They are removed first, so that they
            never accompany the new ones.
    """
    folder = Path(folder)
    created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    staging = _temporary(folder / 'files')
    try:
        staging.mkdir()
        yield staging
        _move(staging, folder, obsolete)
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(str(staging), str(folder))
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in created:
            with suppress(OSError):  # not empty
                parent.rmdir()


def remove_temporary(folder: str | os.PathLike, pattern: str) -> None:
    """Remove the incomplete files that killed processes left in a folder.

    Call it only while no other process writes files of that pattern there.

    Args:
        folder: Folder of the files.
        pattern: Pattern of the names of the complete files, e.g. ``*.pth``.
    """
    for path in Path(folder).glob(f'.{pattern}.*{TEMPORARY}'):
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """Return a name that no other process uses."""
    return path.with_name(f'.{path.name}.{secrets.token_hex(4)}{TEMPORARY}')


def _move(staging: Path, folder: Path, obsolete: Iterable[str]) -> None:
    # Keep the order of writing: a graph comes after the weights it was made from.
    files = sorted(
        (path for path in staging.rglob('*') if path.is_file()),
        key=lambda path: path.stat().st_mtime_ns,
    )
    targets = [folder / file.relative_to(staging) for file in files]
    for file, target in zip(files, targets, strict=True):
        _sync(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    with _ctrl_c_ignored():
        for name in obsolete:
            (folder / name).unlink(missing_ok=True)
        for file, target in zip(files, targets, strict=True):
            os.replace(file, target)
    for parent in {target.parent for target in targets}:
        _sync_folder(parent)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    # Only the main thread receives Ctrl-C, and only it may change how.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _sync(path: Path) -> None:
    with open(path, 'rb') as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Makes the move itself survive a power cut. Not every file system can do that for a folder.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
