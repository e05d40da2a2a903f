"""Lock of a work directory, so that two trainings do not overwrite each other's files."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from ..errors import UserError

NAME = '.training.lock'


def lock_work_dir(work_dir: str | os.PathLike) -> None:
    """Reserve a work directory for this process until it ends, however it ends.

    The operating system releases the lock with the process, so a killed training does not leave
    one. A file system that cannot lock (some network mounts) is used without a lock.

    Raises:
        UserError: If another process has reserved it.
    """
    folder = Path(work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # Stays open until the process ends.
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        # Not flock(), whose lock the data loader's workers would inherit and keep for seconds.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        owner = os.read(descriptor, 200).decode(errors='replace').strip()
        os.close(descriptor)
        raise UserError(
            f'Another training uses {work_dir} ({owner}). Wait until it ends, or choose another '
            'folder with --work-dir.'
        ) from error
    except OSError:  # the file system does not support locks
        os.close(descriptor)
        return
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}'.encode())
