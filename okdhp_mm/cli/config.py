"""Arguments of mmpose's train.py and test.py, and the config that they change."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import Config

from ..io.config import read_config, require_key
from ..recipes.alone import ALONE, alone_config
from ..recipes.methods import apply_method_to_config
from .options import add_cfg_options


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that mmpose's train.py and test.py have in common."""
    parser.add_argument('--work-dir', help='the directory for logs, checkpoints and results')
    add_cfg_options(parser)
    parser.add_argument('--show-dir', help='the directory for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='visualize every N-th sample')
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
    """Return the config with the parsed arguments merged into it, except ``--cfg-options``.

    Args:
        args: Arguments of :func:`add_runner_arguments`.
        method: Name or file of the method to train by instead of the config's own, or 'alone'; the
            work directory is named after it, unless the user named one.

    Raises:
        UserError: If the file or the method cannot be read, or the config trains no branches.
    """
    # mmengine chooses the GPU of a process by LOCAL_RANK, which Open MPI calls differently.
    rank = os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK', str(args.local_rank))
    os.environ.setdefault('LOCAL_RANK', rank)
    cfg = read_config(args.config)
    work_dir = cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    if method == ALONE:
        cfg = alone_config(cfg, args.config)
    elif method is not None:
        apply_method_to_config(cfg, method)
    cfg.launcher = args.launcher
    if method is not None:
        work_dir = f'{work_dir.rstrip("/")}_{Path(method).stem}'
    cfg.work_dir = args.work_dir or work_dir
    if args.show or args.show_dir:
        hook = "dict(type='PoseVisualizationHook')"
        visualization = require_key(
            cfg, 'default_hooks.visualization', '--show or --show-dir', hook
        )
        visualization.update(
            enable=True, show=args.show, out_dir=args.show_dir, interval=args.interval
        )
        if args.show:
            visualization.wait_time = args.wait_time
    return cfg
