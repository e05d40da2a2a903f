"""Read untrusted checkpoints without running code in them.

An mmengine checkpoint holds more than tensors: numpy arrays and the history of the logs. These few
harmless types are allowed by name, and anything else is refused. Texts that mmengine would run as
Python are removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..errors import UserError, as_user_error, join_names
from .data_files import safe_handlers, use_safe_handlers
from .safe_unpickler import restricted_load

_METHODS = {
    HistoryBuffer: ('min', 'max', 'mean', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}
_FORCED = ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')
"""Variables of torch that overrule the arguments of ``torch.load``."""
MOST_NAMED = 6
"""Number of checkpoints that a message names."""
PROGRAMS = (('meta', 'config'), ('meta', 'cfg'), ('message_hub', 'runtime_info', 'cfg'))
"""Texts in a checkpoint that mmengine's ``Runner.resume`` or ``BaseInferencer`` runs."""


def _known_method(owner: type, name: str):
    """Stand-in for ``getattr``, which pickled methods call, that knows the needed methods only."""
    if name not in _METHODS.get(owner, ()):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')
    return getattr(owner, name)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make ``torch.load`` read weights and the allowed types only, whatever its arguments are."""
    kept = {name: os.environ.pop(name) for name in _FORCED if name in os.environ}
    try:
        with restricted_load([*_METHODS, (_known_method, 'builtins.getattr')]):
            yield
    finally:
        os.environ.update(kept)


def without_programs(checkpoint: Any) -> Any:
    """Remove the texts that mmengine runs as Python from a checkpoint, in place."""
    for *path, key in PROGRAMS:
        entry = checkpoint
        for name in path:
            entry = entry.get(name) if isinstance(entry, dict) else None
        if isinstance(entry, dict):
            entry.pop(key, None)
    return checkpoint


def load_checkpoint(filename: str) -> dict:
    """Load a local checkpoint to the CPU, without running anything in it.

    Args:
        filename: Path of the checkpoint.

    Returns:
        The checkpoint, a dict with at least ``state_dict`` and ``meta``; a bare state dict, as
        of torchvision, is wrapped.

    Raises:
        UserError: If the file is missing, empty, broken, not a checkpoint, or holds anything that
            would have to be executed to be loaded.
    """
    filename = os.path.expanduser(filename)
    _check_file(filename)
    try:
        with _weights_only():
            checkpoint = without_programs(torch.load(filename, map_location='cpu'))
    except UnpicklingError as error:
        raise _refusal(filename, error) from error
    except Exception as error:  # bytes that are not a pickle can raise anything
        reason = str(error).split('\n')[0] or type(error).__name__
        raise UserError(f'The file {filename} is not a complete checkpoint ({reason}).') from error
    if isinstance(checkpoint, dict) and 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint, meta={})
    state_dict = checkpoint['state_dict'] if isinstance(checkpoint, dict) else None
    if not isinstance(state_dict, dict) or not all(
        isinstance(value, torch.Tensor) for value in state_dict.values()
    ):
        raise UserError(f'The file {filename} holds no state dict of tensors.')
    meta = checkpoint.setdefault('meta', {})
    if not isinstance(meta, dict):
        raise UserError(f'The file {filename} is not a checkpoint: its meta is not a dict.')
    if not isinstance(meta.get('dataset_meta') or {}, dict):
        raise UserError(
            f'The checkpoint {filename} is damaged: its dataset_meta is not a dict, but '
            f'of type {type(meta["dataset_meta"]).__name__}.'
        )
    return checkpoint


def _check_file(filename: str) -> None:
    """Check that a path is of a file that can be a checkpoint.

    Raises:
        UserError: If it is not.
    """
    if os.path.isdir(filename):
        raise UserError(f'The checkpoint {filename} is a folder; name a file in it.')
    if not os.path.isfile(filename):
        raise UserError(f'The checkpoint {filename} does not exist.{_others_near(Path(filename))}')
    if os.path.getsize(filename) == 0:
        raise UserError(f'The checkpoint {filename} is empty.')
    with open(filename, errors='replace') as file:
        named = file.readline(4096).strip()
    if named.endswith('.pth'):  # mmengine's last_checkpoint
        raise UserError(f'{filename} is a text file that names {named}; give that file.')


def _others_near(file: Path) -> str:
    """Return a sentence with the checkpoints in the folder of a missing one; '' without any."""
    others = [f'{other.name!r}' for other in sorted(file.parent.glob('*.pth'))]
    return f' {file.parent} has {join_names(others, MOST_NAMED)}.' if others else ''


def _refusal(filename: str, error: UnpicklingError) -> UserError:
    return UserError(
        f'The checkpoint {filename} is refused: it is broken, or holds code or objects apart '
        f'from weights, which are never loaded ({error}).'
    )


def _safely(loader: Callable) -> Callable:
    """Return a loader of mmengine, which may download, that never unpickles objects."""
    if loader.__module__ == __name__:
        return loader

    def load(filename: str, map_location: str | None = None):
        try:
            with _weights_only():
                return without_programs(loader(filename, 'cpu'))
        except UnpicklingError as error:
            raise _refusal(filename, error) from error

    load.__name__ = loader.__name__  # mmengine logs it
    return load


def load_from_local(filename: str, map_location: str | None = None) -> dict:
    """Load a local checkpoint; mmengine logs the part of this name after ``load_from_``."""
    return load_checkpoint(filename)


def use_safe_loader() -> None:
    """Make mmengine read checkpoints and data files safely, in this process.

    :func:`load_checkpoint` reads local checkpoints. mmengine's own loaders, which would unpickle
    any object, read downloads (``https://``, ``torchvision://``, ``open-mmlab://``, ...) within
    :func:`_weights_only`.

    All tensors are read to the CPU. Weights and moments are copied to the device of the model
    anyway, but Adam's step counters would stay on a GPU, and every step would wait for them.

    Only commands call this. Library code uses :func:`safe_loader`, which restores the loaders.
    """
    safe = {prefix: _safely(loader) for prefix, loader in CheckpointLoader._schemes.items()}
    # Keep the order, because mmengine takes the first prefix that fits.
    CheckpointLoader._schemes = safe | {'': load_from_local}
    use_safe_handlers()


@contextmanager
def safe_loader() -> Iterator[None]:
    """Apply :func:`use_safe_loader` within a context."""
    before = CheckpointLoader._schemes
    with safe_handlers():
        use_safe_loader()
        try:
            yield
        finally:
            CheckpointLoader._schemes = before


def load_weights(network: nn.Module, state_dict: dict[str, Tensor], complaint: str) -> None:
    """Load a checkpoint's weights into a network that has all of them and no others.

    As in mmpose, the network may translate names of older versions, and batch norms may lack
    their counter.

    Args:
        network: The network.
        state_dict: The weights.
        complaint: Start of the error message, without a full stop. The reason is added in
            brackets.

    Raises:
        UserError: If the weights are of another network.
    """
    # torch refuses tensors of another shape by itself.
    with as_user_error(complaint, RuntimeError):
        try:
            missing, unexpected = network.load_state_dict(state_dict, strict=False)
        except UserError as error:  # A model of this package checks more, without the file's name.
            raise UserError(f'{complaint}. {error}') from error
    missing = [name for name in missing if not name.endswith('num_batches_tracked')]
    if wrong := [*missing, *unexpected]:
        raise UserError(
            f'{complaint} ({len(wrong)} tensors are in one of them only, e.g. {wrong[0]}).'
        )
