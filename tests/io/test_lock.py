"""One training at a time uses a work directory."""

import os
import signal
import time

import pytest

from okdhp_mm.errors import UserError
from okdhp_mm.io.lock import lock_work_dir


def test_a_folder_in_use_is_refused_until_its_process_is_dead(tmp_path):
    locked, ready = os.pipe()
    holder = os.fork()
    if not holder:
        lock_work_dir(tmp_path)
        worker = os.fork()
        if worker:
            os.write(ready, str(worker).encode())
        time.sleep(60)
        os._exit(0)
    worker = int(os.read(locked, 100))
    with pytest.raises(UserError, match=f'(?s){tmp_path}.*process {holder} on'):
        lock_work_dir(tmp_path)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    # A worker of a data loader lives on for seconds.
    lock_work_dir(tmp_path)
    os.kill(worker, signal.SIGKILL)


def test_a_new_folder_is_made(tmp_path):
    lock_work_dir(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()
