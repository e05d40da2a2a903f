"""What the command line tools share: arguments, their meaning, and how errors are told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.device import get_device
from mmengine.runner import Runner

from .config_file import read_config, section
from .errors import UserError, told
from .methods import all_imports, apply_method


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """End the program with the sentence of a :class:`UserError`, without a traceback."""
    try:
        yield
    except UserError as error:
        sys.exit(f'error: {error}')


class Options(DictAction):
    """``KEY=VALUE ...`` of every OpenMMLab tool; anything else is told, without a traceback."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Parse them into a dict."""
        for value in values:
            if '=' not in value:
                raise argparse.ArgumentError(self, f'{value!r} has no "="; write KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """``--cfg-options`` as in every OpenMMLab tool."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        help='override settings of the config, e.g. train_dataloader.batch_size=8 '
        'model.test_cfg.branch=1 or key="[(a,b),(c,d)]" (quoted, no white space)',
    )


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that mmpose's train.py and test.py have in common."""
    parser.add_argument('--work-dir', help='the directory for logs, checkpoints and results')
    add_cfg_options(parser)
    parser.add_argument('--show-dir', help='the directory for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='visualise every so many samples')
    parser.add_argument(
        '--wait-time', type=float, default=1, help='how long a window is shown, in seconds'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # torch.distributed.launch, which mim still uses, passes the first or the second spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace, method: str | None = None) -> Config:
    """The config with what :func:`add_runner_arguments` parsed, but for ``--cfg-options``.

    Args:
        args: What was parsed.
        method: Name or file of the method to train by instead of the config's own; the work
            directory is named after it, unless the user named one.

    Raises:
        UserError: If the file or the method cannot be read, or the config trains no branches.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    work_dir = cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    if method is not None:
        apply_method(cfg.get('model') or {}, method)
        cfg.custom_imports = dict(imports=all_imports(cfg, method), allow_failed_imports=False)
        work_dir = f'{work_dir.rstrip("/")}_{Path(method).stem}'
    cfg.work_dir = args.work_dir or work_dir
    if args.show or args.show_dir:
        hook = "dict(type='PoseVisualizationHook')"
        visualization = section(cfg, 'default_hooks.visualization', '--show or --show-dir', hook)
        visualization.update(
            enable=True, show=args.show, out_dir=args.show_dir, interval=args.interval
        )
        if args.show:
            visualization.wait_time = args.wait_time
    return cfg


def merge_options(cfg: Config, options: dict | None) -> None:
    """Merge what ``--cfg-options`` parsed into a config, in place.

    Raises:
        UserError: If an option goes into something that has no such place.
    """
    for key, value in (options or {}).items():
        with told(f'--cfg-options {key}={value} cannot be merged into the config'):
            cfg.merge_from_dict({key: value})


def build_runner(cfg: Config, *loops: str) -> Runner:
    """Build a runner and, ahead of its first use, its loops with their data, and its optimiser.

    Args:
        cfg: The complete config.
        loops: 'train', 'val' or 'test', in the order in which the runner builds them.

    Raises:
        UserError: If the config names a type or an argument that there is not, or mixed precision
            where there is no GPU. What is raised while the runner runs is no matter of this.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') == 'AmpOptimWrapper' and get_device() in ('cpu', 'mps'):
        raise UserError(
            "--amp or optim_wrapper.type='AmpOptimWrapper' needs a GPU of CUDA, and there is "
            "none; train without, by 'OptimWrapper'."
        )
    what = f'What {cfg.filename} and the options ask for'
    with told(f'{what} cannot be built', (KeyError, TypeError)):
        runner = Runner.from_cfg(cfg)
        built = dict(
            train=lambda: runner.train_loop,
            val=lambda: runner.val_loop,
            test=lambda: runner.test_loop,
        )
        for loop in loops:
            built[loop]()
    if 'train' in loops:
        # Of an optimiser that there is not, mmengine says only that None is not callable.
        optimizer = wrapper.get('optimizer')
        with told(f'optim_wrapper.optimizer={optimizer} cannot be built', (KeyError, TypeError)):
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


def drop_pretrained(cfg: ConfigDict | list | tuple) -> None:
    """Take every 'Pretrained' initialisation out of a model's config, in place."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            drop_pretrained(value)
    if isinstance(cfg, dict) and isinstance(cfg.get('init_cfg'), (dict, list, tuple)):
        entries = (
            cfg['init_cfg'] if isinstance(cfg['init_cfg'], (list, tuple)) else [cfg['init_cfg']]
        )
        kept = [entry for entry in entries if entry.get('type') != 'Pretrained']
        if len(kept) < len(entries):
            # Without an init_cfg of its own, the module falls back to its class's default.
            cfg.pop('init_cfg')
            if kept:
                cfg['init_cfg'] = kept


def check_data(cfg: Config, *splits: str) -> None:
    """Look whether the files and folders that the config names for these splits are there.

    Args:
        cfg: Any config.
        splits: 'train', 'val' or 'test'.

    Raises:
        UserError: If one is not.
    """
    for split in splits:
        if cfg.get(f'{split}_dataloader'):
            _check_dataset(cfg[f'{split}_dataloader'].dataset, f'{split}_dataloader.dataset')
        if cfg.get(f'{split}_evaluator'):
            _check_evaluator(cfg[f'{split}_evaluator'], f'{split}_evaluator')


def _check_dataset(dataset: ConfigDict, key: str) -> None:
    for nested in (*dataset.get('datasets', ()), *filter(None, [dataset.get('dataset')])):
        _check_dataset(nested, key)
    root = dataset.get('data_root') or ''
    _check_exists(_joined(root, dataset.get('ann_file')), f'{key}.ann_file', f'{key}.data_root')
    _check_exists(dataset.get('bbox_file'), f'{key}.bbox_file')
    _check_exists(dataset.get('headbox_file'), f'{key}.headbox_file')
    for name, folder in (dataset.get('data_prefix') or {}).items():
        _check_exists(_joined(root, folder), f'{key}.data_prefix.{name}', f'{key}.data_root')


def _check_evaluator(evaluator: ConfigDict | list, key: str) -> None:
    if isinstance(evaluator, (list, tuple)):
        for index, entry in enumerate(evaluator):
            _check_evaluator(entry, f'{key}.{index}')
        return
    _check_exists(evaluator.get('ann_file'), f'{key}.ann_file')
    if evaluator.get('metric'):
        _check_evaluator(evaluator.metric, f'{key}.metric')


def _check_exists(path: str | None, *keys: str) -> None:
    # Paths with a scheme (s3://...) are for the file backend to find.
    if path and '://' not in path and not os.path.exists(path):
        raise UserError(
            f'{path} does not exist; say where it is by --cfg-options {" or ".join(keys)}=...'
        )


def _joined(root: str, path: str | None) -> str | None:
    return os.path.join(root, path) if path else None
