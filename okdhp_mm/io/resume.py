"""Choose the checkpoint that ``--resume`` continues from."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from ..checkpoint import load_checkpoint
from ..errors import UserError

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
    meta = load_checkpoint(cfg.load_from).get('meta', {})
    if 'epoch' not in meta:
        raise UserError(
            f'{cfg.load_from} is not a checkpoint of a training that can be resumed. To start a '
            f'new one with its weights, use --cfg-options load_from={cfg.load_from}'
        )
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is None and isinstance(meta.get('seed'), int):
        cfg.randomness = {**randomness, 'seed': meta['seed']}


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
