"""Reading checkpoints that others made without running what is in them.

An mmengine checkpoint holds more than tensors: numpy arrays and the history of the logs. Those few
harmless types are allowed by name; anything else is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader

from .allowlist import restricted_load
from .errors import UserError

_METHODS = {
    HistoryBuffer: ('min', 'max', 'mean', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}
_FORCE, _FORCE_NOT = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
"""Variables of torch that overrule what a caller of ``torch.load`` asks for."""


def _known_method(owner: type, name: str):
    """The only attribute access that an mmengine checkpoint needs.

    Pickled methods are ``getattr`` calls; the real ``getattr`` would be a way to any object from
    there, hence this one in its place.
    """
    if name not in _METHODS.get(owner, ()):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')
    return getattr(owner, name)


def _allowed() -> list:
    dtypes = {type(np.dtype(kind)) for kind in ('?', 'i1', 'u1', 'i4', 'u4', 'i8', 'f4', 'f8')}
    # Asked of numpy, which keeps them in other places in other versions.
    reconstruct, scalar = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
    return [
        *_METHODS,
        np.ndarray,
        np.dtype,
        *dtypes,
        # Pickles of numpy 1 and 2 name the same functions differently.
        (reconstruct, 'numpy.core.multiarray._reconstruct'),
        (reconstruct, 'numpy._core.multiarray._reconstruct'),
        (scalar, 'numpy.core.multiarray.scalar'),
        (scalar, 'numpy._core.multiarray.scalar'),
        (_known_method, 'builtins.getattr'),
    ]


@contextmanager
def _weights_only() -> Iterator[None]:
    """Within it ``torch.load`` reads weights and the allowed types, whoever calls it and how."""
    kept = {name: os.environ.pop(name) for name in (_FORCE, _FORCE_NOT) if name in os.environ}
    try:
        # In a context each time: one that ends takes back even what was allowed before it.
        if hasattr(torch.serialization, 'safe_globals'):
            os.environ[_FORCE] = '1'
            with torch.serialization.safe_globals(_allowed()):
                yield
        else:
            with restricted_load(_allowed()):
                yield
    finally:
        os.environ.pop(_FORCE, None)
        os.environ.update(kept)


def load_checkpoint(filename: str, map_location: str | None = 'cpu') -> dict:
    """Load a local checkpoint with ``weights_only=True``.

    Args:
        filename: Path of the checkpoint.
        map_location: As in ``torch.load``.

    Returns:
        The checkpoint, a dict with at least ``state_dict`` and ``meta``; a bare state dict, as
        of torchvision, is wrapped.

    Raises:
        UserError: If the file is missing, empty, broken, no checkpoint, or holds anything that
            would have to be executed to be loaded.
    """
    filename = os.path.expanduser(filename)
    if os.path.isdir(filename):
        raise UserError(f'The checkpoint {filename} is a folder; name a file in it.')
    if not os.path.isfile(filename):
        raise UserError(f'The checkpoint {filename} does not exist.')
    if os.path.getsize(filename) == 0:
        raise UserError(f'The checkpoint {filename} is empty.')
    try:
        with _weights_only():
            checkpoint = torch.load(filename, map_location=map_location, weights_only=True)
    except UserError:
        raise
    except UnpicklingError as error:
        raise _refusal(filename, error) from error
    except Exception as error:  # bytes that are no pickle can raise anything in the unpickler
        reason = str(error).split('\n')[0] or type(error).__name__
        raise UserError(f'The file {filename} is not a complete checkpoint ({reason}).') from error
    if isinstance(checkpoint, dict) and 'state_dict' not in checkpoint:
        checkpoint = dict(state_dict=checkpoint, meta={})
    state_dict = checkpoint['state_dict'] if isinstance(checkpoint, dict) else None
    if not isinstance(state_dict, dict) or not all(
        isinstance(value, torch.Tensor) for value in state_dict.values()
    ):
        raise UserError(f'The file {filename} holds no state dict of tensors.')
    return checkpoint


def _refusal(filename: str, error: UnpicklingError) -> UserError:
    return UserError(
        f'The checkpoint {filename} is refused: it is broken, or holds code or objects besides '
        f'weights, which are never loaded ({_reason(error)}).'
    )


def _reason(error: UnpicklingError) -> str:
    """What torch refuses, without its advice on how to load the file all the same."""
    said, _, _ = str(error).partition('\n\nCheck the documentation')
    last = said.rpartition('\n')[2].strip().removeprefix('WeightsUnpickler error: ')
    return last.partition('. Please use')[0].rstrip('.')


def _safely(loader: Callable) -> Callable:
    """A loader of mmengine's, which may download, kept from unpickling whatever it finds."""

    def load(filename: str, map_location: str | None = None):
        try:
            with _weights_only():
                return loader(filename, map_location)
        except UnpicklingError as error:
            raise _refusal(filename, error) from error

    load.__name__ = loader.__name__  # mmengine logs it
    return load


def use_safe_loader() -> None:
    """Make mmengine read no checkpoint but safely, in this process.

    Local ones are read by :func:`load_checkpoint`; what is downloaded (``https://``,
    ``torchvision://``, ``open-mmlab://`` and all the others) by mmengine's own loaders, which
    unpickle whatever is there, under :func:`_weights_only`.

    For the tools only: a library that changed how its host loads files on import would be a
    nuisance.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_checkpoint, force=True)
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        if loader.__module__ != __name__:
            CheckpointLoader.register_scheme(prefix, _safely(loader), force=True)
