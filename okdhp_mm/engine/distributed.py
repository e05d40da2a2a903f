"""Several processes that train or test together, on GPUs or on CPUs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from mmengine.config import Config
from mmengine.device import get_device
from torch import distributed

from ..errors import UserError

COMMAND = 'torchrun --nproc_per_node=2 -m okdhp_mm train CONFIG --launcher pytorch'
TORCHRUN = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
"""Environment variables that torchrun sets."""


@contextmanager
def process_group(cfg: Config) -> Iterator[None]:
    """Run with the other processes of ``cfg.launcher``, and end when one of them ends.

    mmengine gives each process a GPU, whatever the backend. Without GPUs, this function joins the
    processes by gloo first, and mmengine uses this group.

    Args:
        cfg: The complete config. Without GPUs, its ``model_wrapper_cfg`` is changed in place.

    Raises:
        UserError: If the launcher cannot be used here, or another process has ended.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        yield
        return
    if launcher == 'pytorch' and (missing := [key for key in TORCHRUN if key not in os.environ]):
        raise UserError(
            f'--launcher pytorch needs {", ".join(missing)}, which torchrun sets. Start with: '
            f'{COMMAND}'
        )
    with _one_sentence_at_the_end():
        if get_device() in ('cpu', 'mps'):
            _join_on_cpu(cfg)
        yield
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _join_on_cpu(cfg: Config) -> None:
    if cfg.launcher != 'pytorch' or get_device() == 'mps':
        raise UserError(
            f'--launcher {cfg.launcher} needs a CUDA GPU for every process. Processes on CPUs are '
            f'started by torchrun: {COMMAND}'
        )
    settings = (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
    timeout = settings.get('timeout')
    distributed.init_process_group('gloo', timeout=timeout and timedelta(seconds=timeout))
    # mmengine's default, without the GPU of the process.
    default = dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    cfg.model_wrapper_cfg = dict(cfg.get('model_wrapper_cfg') or default, device_ids=None)


@contextmanager
def _one_sentence_at_the_end() -> Iterator[None]:
    """End in one sentence when another process ends.

    The backend raises a RuntimeError in a process that waits for the other one, and torchrun sends
    SIGTERM to the rest.
    """
    sentence = (
        f'Another process ended, so process {os.environ.get("RANK", "")} ends, too. Look for its '
        'error above. Without one it was killed, for example because the memory was full. '
        '`--resume` continues a training from its last checkpoint.'
    )
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(f'error: {sentence}'))
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistBackendError) or 'gloo' in str(error):
            raise UserError(sentence) from error
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)
