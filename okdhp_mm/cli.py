"""Arguments of the command line tools, what they mean, and how errors are printed."""

from __future__ import annotations

import argparse
import ast
import errno
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.runner import Runner, amp

from .data.files import as_data_error
from .data.keypoint_mapping import read_renamed
from .data.pictures import LIMIT, skip_unreadable
from .data.unlabeled import folders_of
from .deploy.inference.detectors.build import FORMS as DETECTORS
from .deploy.inference.unlabeled import read_unlabeled
from .engine.runner import DurableRunner
from .errors import (
    CodeError,
    UserError,
    as_user_error,
    interrupt_of,
    missing_package_as_import_error,
    reason_of,
)
from .io.config import drop_pretrained, pretrained_sources, read_config, require_key
from .io.lock import lock_work_dir
from .io.resume import choose_checkpoint
from .models.backbones.branched import INITIALIZE_FROM_FILE, fetch_weights
from .recipes.methods import apply_method_to_config
from .recipes.pretrained import start_from
from .recipes.teachers import FORMS, use_teacher
from .recipes.unlabeled import check_images, learn_from

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNUSABLE = {errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EPERM, errno.EROFS}
"""Errors of a path that the user named. ENOENT is not among them, because it may be our bug."""
PRETRAINED = (
    'start the backbone from a file with names of torchvision, timm or mmpose, or from the '
    'ImageNet weights of the named package'
)
COMPLETE = 'The files written so far are complete.'


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """End the program with the sentence of a :class:`UserError`.

    The traceback follows if the cause may be a bug, and always if ``OKDHP_DEBUG`` is set. Paths
    that cannot be read or written are reported in the same way.
    """
    # A full disk lacks room for log files too; the tool ends when it writes its next result.
    reported, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if interrupt := interrupt_of(error):
            exit_with_error(str(interrupt) or f'Interrupted. {COMPLETE}', error, None)
        if isinstance(error, UserError):
            cause = error.__cause__ if isinstance(error, CodeError) else None
            # torch puts the traceback of a worker process before the sentence of its error.
            sentence = str(error).rpartition(f'{UserError.__name__}: ')[2].strip()
            exit_with_error(sentence, error, cause)
        if isinstance(error, OSError) and error.errno in FULL:
            file = error.filename or 'A file'
            what = f'{file} cannot be written: {error.strerror}.'
            exit_with_error(f'{what} {COMPLETE}', error, None)
        if isinstance(error, OSError) and error.errno in UNUSABLE and error.filename is not None:
            exit_with_error(f'{error.filename} cannot be used: {error.strerror}.', error, None)
        raise
    finally:
        logging.raiseExceptions = reported


def exit_with_error(sentence: str, error: BaseException, cause: BaseException | None) -> NoReturn:
    """End the program with a sentence, and the traceback of the cause or, to debug, of all."""
    if os.environ.get('OKDHP_DEBUG', '0') not in ('', '0'):
        cause = error
    trace = ''.join(traceback.format_exception(cause)) if cause else ''
    sys.exit(f'error: {sentence}' + (f'\n\n{trace}' if trace else ''))


def parse_command_line(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments of a command, with ``~`` expanded in every path.

    Shells leave it as it is after ``--option=`` and ``key=``, and in quotes.
    """
    return parser.parse_args([expand_home(text) for text in arguments])


def expand_home(text: str) -> str:
    """Return an argument with ``~`` expanded at its start or after its first ``=``."""
    name, equals, value = text.partition('=')
    return os.path.expanduser(name) + equals + os.path.expanduser(value)


def finite(text: str) -> float:
    """Return an argument that is a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'{text} is not a finite number')
    return value


def positive(text: str) -> int:
    """Return an argument that is a whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not above zero')
    return value


def above_zero(text: str) -> float:
    """Return an argument that is a number above zero."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f'{text} is not above zero')
    return value


def image_size(text: str) -> tuple[int, int]:
    """Return an argument such as ``192x256`` as width and height."""
    width, _, height = text.partition('x')
    if not width.isdecimal() or not height.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is not WIDTHxHEIGHT, e.g. 128x128')
    return int(width), int(height)


class Options(DictAction):
    """``KEY=VALUE ...`` of every OpenMMLab tool, where a value can also have dicts in it."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Parse the options into a dict."""
        for value in values:
            if '=' not in value:
                raise argparse.ArgumentError(self, f'{value!r} has no "="; write KEY=VALUE')
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (AssertionError, RecursionError, SyntaxError, TypeError, ValueError) as error:
                raise argparse.ArgumentError(
                    self,
                    f'{value!r} cannot be read; write a number, a word, [A,B], (A,B) or '
                    '"dict(type=\'A\',b=1)", in quotes of the shell',
                ) from error

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        # mmengine's splits a dict at its commas.
        return parse_dicts(val) if HAS_DICT.search(val) else DictAction._parse_iterable(val)


HAS_DICT = re.compile(r'(^|[\[({=,:])\s*[\'"]?(\{|dict\()')


def parse_dicts(text: str) -> Any:
    """Parse a Python literal that may have ``dict(...)`` and words without quotes in it.

    Raises:
        SyntaxError: If it is not Python.
        ValueError: If it is not a literal.
    """
    tree = _Literals().visit(ast.parse(text.strip('\'"'), mode='eval'))
    return ast.literal_eval(tree)


class _Literals(ast.NodeTransformer):
    """Turns ``dict(a=1)`` into ``{'a': 1}``, and a word into what mmengine reads it as."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        simple = isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args
        if not simple or any(keyword.arg is None for keyword in node.keywords):
            return node
        keys: list[ast.expr | None] = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys, [self.visit(keyword.value) for keyword in node.keywords])

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(DictAction._parse_int_float_bool(node.id))


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, as in every OpenMMLab tool."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        help='override settings of the config, e.g. train_dataloader.batch_size=8 '
        'model.test_cfg.branch=1 or key="[(a,b),(c,d)]" (quoted, no white space)',
    )


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


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose initial weights, teacher and unlabeled images."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--from-scratch', action='store_true', help='drop pretrained weights')
    start.add_argument('--pretrained', metavar='FILE|torchvision|timm', help=PRETRAINED)
    parser.add_argument(
        '--force', action='store_true', help='replace the checkpoints of an earlier training'
    )
    parser.add_argument('--teacher', nargs='+', metavar='FILE', help=f'also learn from {FORMS}')
    parser.add_argument(
        '--teacher-keypoints',
        nargs='+',
        default=(),
        metavar='NAME=NAME',
        help="the teacher's name of a keypoint of the student, where they differ, or a JSON file "
        'of such pairs; keypoints that the teacher lacks are learned from the labels alone',
    )
    _add_unlabeled_arguments(parser)


def choose_start(cfg: Config, args: argparse.Namespace) -> None:
    """Choose the initial weights and the teacher, and merge ``--cfg-options``, in place.

    Raises:
        UserError: If the weights or the teacher do not exist or do not fit, an option cannot be
            merged, or a new training would replace an earlier one.
    """
    if args.from_scratch:
        drop_pretrained(cfg.model)
        if not cfg.get('resume'):
            cfg.load_from = None
    merge_options(cfg, args.cfg_options)
    if not (cfg.get('resume') or args.force):
        keep_checkpoints(cfg.work_dir)
    if args.pretrained:
        # After the options, which can change the backbone.
        file = Path(cfg.work_dir, 'pretrained.pth')
        # A resumed training has them already, and must not need the network for them.
        source = str(file) if cfg.get('resume') and file.is_file() else args.pretrained
        found = start_from(cfg.model, source, file)
        print(f'Pretrained weights from {args.pretrained}: {found}.')
    if args.teacher:
        # After the options, which can change the data.
        print(use_teacher(cfg, args.teacher, read_renamed(args.teacher_keypoints)))
    elif args.teacher_keypoints:
        raise UserError('--teacher-keypoints names keypoints of a teacher. Add --teacher FILE.')


def _add_unlabeled_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        '--unlabeled',
        type=Path,
        metavar='DIR|VIDEO|ANNOTATIONS.json',
        help='learn from the persons in these pictures too, without labels',
    )
    add(
        '--boxes',
        type=Path,
        help='JSON with boxes around the persons in the unlabeled pictures, {"a.jpg": [[x1, y1, '
        'x2, y2], ...]} (default: from the detector)',
    )
    add(
        '--detector',
        help=f'finds the persons in the unlabeled pictures: {DETECTORS} (default: a picture is one '
        'person)',
    )
    add(
        '--unlabeled-ratio',
        type=above_zero,
        default=1.0,
        metavar='R',
        help='unlabeled persons for each labeled one in a batch (default: %(default)s)',
    )


def use_unlabeled(cfg: Config, args: argparse.Namespace) -> None:
    """Add the unlabeled images that the arguments name to a config, in place.

    Raises:
        UserError: If they cannot be used, or the config lacks images that it should learn from.
    """
    if args.unlabeled:
        folders = folders_of(require_key(cfg, 'train_dataloader.dataset', '--unlabeled'))
        found = read_unlabeled(
            args.unlabeled, args.boxes, Path(cfg.work_dir), folders, args.detector
        )
        learn_from(cfg, *found, args.unlabeled_ratio)
    elif args.boxes or args.detector:
        given = f'--boxes {args.boxes}' if args.boxes else f'--detector {args.detector}'
        raise UserError(f'{given} needs pictures. Name them by --unlabeled.')
    check_images(cfg)


def keep_checkpoints(work_dir: str) -> None:
    """Refuse to replace the checkpoints of an earlier training.

    Raises:
        UserError: If the folder has some.
    """
    patterns = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', 'latest.pth')
    if found := sorted(file.name for pattern in patterns for file in Path(work_dir).glob(pattern)):
        raise UserError(
            f'{work_dir} has checkpoints of an earlier training, such as {found[0]}. Continue it '
            'by --resume, name another --work-dir, or replace them by --force.'
        )


def load_config(args: argparse.Namespace, method: str | None = None) -> Config:
    """Return the config with the parsed arguments merged into it, except ``--cfg-options``.

    Args:
        args: Arguments of :func:`add_runner_arguments`.
        method: Name or file of the method to train by instead of the config's own; the work
            directory is named after it, unless the user named one.

    Raises:
        UserError: If the file or the method cannot be read, or the config trains no branches.
    """
    # mmengine chooses the GPU of a process by LOCAL_RANK, which Open MPI calls differently.
    rank = os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK', str(args.local_rank))
    os.environ.setdefault('LOCAL_RANK', rank)
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    work_dir = cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    if method is not None:
        apply_method_to_config(cfg, method)
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


def merge_options(cfg: Config, options: dict | None) -> None:
    """Merge the options of ``--cfg-options`` into a config, in place.

    Raises:
        UserError: If the config has no place for an option.
    """
    for key, value in (options or {}).items():
        try:
            cfg.merge_from_dict({key: value})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f'--cfg-options {key}={value} cannot be merged into the config '
                f'({reason_of(error)}).'
            ) from error


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
                # An evaluation that leaves samples out would give figures of other data.
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
