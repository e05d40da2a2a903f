"""Choose the checkpoint that ``--resume`` continues from."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import UserError
from .checkpoint import load_checkpoint

POINTER = 'last_checkpoint'


def choose_checkpoint(cfg: Config) -> None:
    """Set ``cfg.load_from`` to the checkpoint to resume from, and the seed to that of its training.

    Without ``cfg.load_from``, this is the one that ``last_checkpoint`` names, or the newest
    complete one of the work directory. If there is none, a new training starts. The order of the
    data depends on the seed, and mmengine builds the data before it reads the checkpoint.

    Raises:
        UserError: If a training cannot be resumed from ``cfg.load_from``, or the work directory
            holds incomplete checkpoints only.
    """
    if not cfg.get('load_from'):
        newest = newest_complete(cfg)
        if newest is None:
            print_log(f'{cfg.work_dir} has no checkpoint: a new training starts.', 'current')
            return
        cfg.load_from = str(newest)
    # mmengine has not downloaded a URL yet.
    elif '://' in cfg.load_from:
        return
    checkpoint = load_checkpoint(cfg.load_from)
    check_resumable(checkpoint, cfg.load_from)
    seed = checkpoint['meta'].get('seed')
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is None and seed is not None:
        cfg.randomness = {**randomness, 'seed': seed}


def check_resumable(checkpoint: dict, source: str) -> None:
    """Check the entries of a checkpoint that a resumed training reads.

    Args:
        checkpoint: The loaded checkpoint.
        source: Its path or URL, to name in errors.

    Raises:
        UserError: If an entry is missing or has a value that no training writes.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict) or 'epoch' not in meta:
        raise UserError(
            f'{source} is not a checkpoint of a training that can be resumed. To start a '
            f'new one with its weights, use --cfg-options load_from={source}'
        )
    for path, (is_right, kind) in ENTRIES.items():
        owner, _, key = path.rpartition('.')
        entries = checkpoint
        for name in filter(None, owner.split('.')):
            entries = entries.get(name, {})
        if key not in entries and path not in REQUIRED:
            continue
        if not is_right(entries.get(key)):
            found = reprlib.repr(entries[key]) if key in entries else 'missing'
            raise UserError(
                f'{source} cannot be resumed: its `{path}` is {found}, but must be {kind}. Resume '
                'from another checkpoint.'
            )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_seed(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**32)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not math.isnan(value)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_count, value))


def _are_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_dict, value))


def _are_schedulers(value: Any) -> bool:
    return _are_dicts(value) or (_is_dict(value) and all(map(_are_dicts, value.values())))


def _is_optimizer(value: Any) -> bool:
    if not _is_dict(value):
        return False
    if 'param_groups' not in value:  # several optimizers by their names
        return bool(value) and all(
            _is_dict(each) and _is_optimizer(each) for each in value.values()
        )
    return _is_dict(value.get('state')) and _are_dicts(value['param_groups'])


def _is_resume_state(value: Any) -> bool:
    if value is None:  # of mmengine's own hook
        return True
    return (
        _is_dict(value)
        and _are_dicts(value.get('random'))
        and isinstance(value.get('validated'), bool)
    )


DICT = (_is_dict, 'a dict')
COUNT = (_is_count, 'a whole number from 0 to 2**31 - 1')
HUB = 'message_hub.runtime_info'
ENTRIES: dict[str, tuple[Callable[[Any], bool], str]] = {
    'meta.epoch': COUNT,
    'meta.iter': COUNT,
    'meta.seed': (_is_seed, 'a whole number from 0 to 2**32 - 1'),
    'optimizer': (_is_optimizer, 'the state of an optimizer'),
    'param_schedulers': (_are_schedulers, 'a list of states'),
    'message_hub': DICT,
    'message_hub.log_scalars': DICT,
    'message_hub.resumed_keys': DICT,
    HUB: DICT,
    f'{HUB}.keep_ckpt_ids': (_are_counts, 'a list of whole numbers'),
    f'{HUB}.best_ckpt': (_is_text, 'a path'),
    f'{HUB}.last_ckpt': (_is_text, 'a path'),
    f'{HUB}.best_score': (_is_number, 'a number'),
    'resume_state': (_is_resume_state, 'random states of all processes'),
}
"""Types of the entries of a checkpoint; those of a dict come after it."""
REQUIRED = {
    *('meta.epoch', 'meta.iter', 'message_hub', 'message_hub.log_scalars'),
    *('message_hub.resumed_keys', HUB),
}


def newest_complete(cfg: Config) -> Path | None:
    """Return the checkpoint that ``last_checkpoint`` names, or else the newest complete one.

    Raises:
        UserError: If there are checkpoints and none is complete.
    """
    work_dir = Path(cfg.work_dir)
    named, reasons = _named(work_dir), []
    folder = _checkpoint_folder(cfg, work_dir)
    others = sorted(
        # The best ones lack the state of the optimizer.
        (path for path in folder.glob('*.pth') if not path.name.startswith('best_')),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    candidates = [named] if named and named.exists() else []
    candidates += [path for path in others if path not in candidates]
    for path in candidates:
        try:
            if 'optimizer' in load_checkpoint(str(path)):
                break
        except UserError as error:
            reasons.append(str(error))
    else:
        if reasons:
            raise UserError(
                f'{work_dir} holds no complete checkpoint to resume from. {" ".join(reasons)} '
                'Remove them to start a new training.'
            )
        return None
    if path == named:
        why = f'{POINTER} names it'
    elif reasons:
        why = f'the newest complete one: {" ".join(reasons)}'
    elif named:
        why = f'the newest complete one: {POINTER} names {named}, which does not exist'
    else:
        why = f'the newest complete one: {POINTER} is missing or empty'
    print_log(f'The training resumes from {path} ({why}).', 'current')
    return path


def _named(work_dir: Path) -> Path | None:
    """Return the checkpoint that ``last_checkpoint`` names, also in a folder that was moved."""
    try:
        text = (work_dir / POINTER).read_text(errors='replace').strip('\0 \n')
    except FileNotFoundError:
        return None
    if not text:
        return None
    path = Path(text)
    moved = work_dir / path.name
    return moved if moved.exists() and not path.exists() else path


def _checkpoint_folder(cfg: Config, work_dir: Path) -> Path:
    """Return the folder of the checkpoints, as mmengine's ``CheckpointHook`` chooses it."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    out_dir = hook.get('out_dir')
    return Path(out_dir) / work_dir.resolve().name if out_dir else work_dir
