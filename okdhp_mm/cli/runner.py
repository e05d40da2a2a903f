"""Build the runner of a training or a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner, amp

from ..data.files import as_data_error
from ..data.pictures import LIMIT, skip_unreadable
from ..engine.runner import DurableRunner
from ..errors import UserError, as_user_error, missing_package_as_import_error
from ..io.config import pretrained_sources
from ..io.lock import lock_work_dir
from ..io.resume import choose_checkpoint
from ..models.backbones.branched import INITIALIZE_FROM_FILE, fetch_weights


def build_runner(cfg: Config, *loops: str, kind: type[Runner] = DurableRunner) -> Runner:
    """Build a runner, its loops with their data, and its optimizer.

    Args:
        cfg: The complete config.
        loops: 'train', 'val' or 'test', in the order of the runner.
        kind: Class of the runner.

    Raises:
        UserError: If a type or an argument does not exist, mixed precision has no GPU, the data
            has no person, the checkpoint to resume from is not of a training, a package is missing,
            or a checkpoint cannot be downloaded. Errors of the running runner are not converted.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    no_gpu = get_device() in ('cpu', 'mps')
    if no_gpu and wrapper.get('type') == 'AmpOptimWrapper':
        raise UserError(
            "--amp or optim_wrapper.type='AmpOptimWrapper' requires CUDA, which is not available. "
            "Train without it, by 'OptimWrapper'."
        )
    if 'train' in loops:
        if rank_of(cfg) == 0:
            lock_work_dir(cfg.work_dir)
        if cfg.get('resume'):
            choose_checkpoint(cfg)
    what = f'The runner of {cfg.filename} and the options'
    kinds = (ImportError, KeyError, TypeError)
    with as_user_error(f'{what} cannot be built', *kinds), missing_package_as_import_error():
        runner = kind.from_cfg(cfg)
        built = dict(
            train=lambda: runner.train_loop,
            val=lambda: runner.val_loop,
            test=lambda: runner.test_loop,
        )
        for loop in loops:
            with as_data_error(cfg, loop):
                part = built[loop]()
            if part is not None:  # a training without validation
                # An evaluation that skips samples would measure other data.
                skip_unreadable(part.dataloader.dataset, LIMIT if loop == 'train' else 0)
    fetch_checkpoints(cfg, 'train' in loops)
    if 'train' in loops:
        # For an unknown optimizer, mmengine reports only that None is not callable.
        optimizer = wrapper.get('optimizer')
        with as_user_error(
            f'optim_wrapper.optimizer={optimizer} cannot be built', KeyError, TypeError
        ):
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


def fetch_checkpoints(cfg: Config, trains: bool) -> None:
    """Load the checkpoints that the config names by a URL, which downloads them.

    mmengine would load them after everything else, and end in a traceback without a network.

    Args:
        cfg: The complete config.
        trains: Whether a training starts, which initializes the weights first.

    Raises:
        UserError: If one cannot be loaded.
    """
    option = '--resume FILE' if trains and cfg.get('resume') else 'load_from=FILE'
    remedies = {cfg.get('load_from') or '': f'name the file by {option}'}
    if trains:
        remedies |= dict.fromkeys(pretrained_sources(cfg.model), INITIALIZE_FROM_FILE)
    for source, remedy in remedies.items():
        if '://' in source:
            fetch_weights(source, remedy)


def rank_of(cfg: Config) -> int:
    """Return the rank of this process, which torch does not know before the runner is built."""
    names = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
    name = names.get(cfg.get('launcher', 'none'))
    return int(os.environ.get(name, 0)) if name else 0


@contextmanager
def traceable_amp() -> Iterator[None]:
    """Keep Dynamo from tracing a function that mmengine calls in every step with ``--amp``.

    The function parses the version of torch, which Dynamo cannot trace.
    """
    original = amp.digit_version
    amp.digit_version = torch.compiler.disable(original)
    try:
        yield
    finally:
        amp.digit_version = original
