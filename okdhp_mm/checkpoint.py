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
from torch import Tensor, nn

from .allowlist import restricted_load
from .errors import UserError, as_user_error

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


def load_checkpoint(filename: str) -> dict:
    """Load a local checkpoint with ``weights_only=True``, to the host.

    Args:
        filename: Path of the checkpoint.

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
    with open(filename, errors='replace') as file:
        named = file.readline(4096).strip()
    if named.endswith('.pth'):  # mmengine's last_checkpoint
        raise UserError(f'{filename} is a text file that names {named}; give that file.')
    try:
        with _weights_only():
            checkpoint = torch.load(filename, map_location='cpu', weights_only=True)
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
    if loader.__module__ == __name__:
        return loader

    def load(filename: str, map_location: str | None = None):
        try:
            with _weights_only():
                return loader(filename, 'cpu')
        except UnpicklingError as error:
            raise _refusal(filename, error) from error

    load.__name__ = loader.__name__  # mmengine logs it
    return load


def load_from_local(filename: str, map_location: str | None = None) -> dict:
    """:func:`load_checkpoint`; of a loader's name mmengine logs what follows ``load_from_``."""
    return load_checkpoint(filename)


def use_safe_loader() -> None:
    """Make mmengine read no checkpoint but safely, in this process.

    Local ones are read by :func:`load_checkpoint`; what is downloaded (``https://``,
    ``torchvision://``, ``open-mmlab://`` and all the others) by mmengine's own loaders, which
    unpickle whatever is there, under :func:`_weights_only`.

    All are read to the host, wherever mmengine wants them: weights and moments are copied to the
    model's device anyway, but Adam's step counters would stay on a GPU, and every step wait for
    each of them.

    For the tools only: a library that changed for good how its host loads files would be a
    nuisance, see :func:`safe_loader`.
    """
    safe = {prefix: _safely(loader) for prefix, loader in CheckpointLoader._schemes.items()}
    # In the same order, in which mmengine looks for a prefix that fits.
    CheckpointLoader._schemes = safe | {'': load_from_local}


@contextmanager
def safe_loader() -> Iterator[None]:
    """:func:`use_safe_loader` for as long as it lasts."""
    before = CheckpointLoader._schemes
    use_safe_loader()
    try:
        yield
    finally:
        CheckpointLoader._schemes = before


def load_weights(network: nn.Module, state_dict: dict[str, Tensor], complaint: str) -> None:
    """Load a checkpoint's weights into a network that has all of them and no others.

    As in mmpose, names of an older version fit that the network itself translates, and norms may
    lack the counter of their batches.

    Args:
        network: The network.
        state_dict: The weights.
        complaint: What to say if they are of another network, without a full stop; the reason is
            added in brackets.

    Raises:
        UserError: If they are.
    """
    # torch refuses tensors of another shape by itself.
    with as_user_error(complaint, RuntimeError):
        missing, unexpected = network.load_state_dict(state_dict, strict=False)
    missing = [name for name in missing if not name.endswith('num_batches_tracked')]
    if wrong := [*missing, *unexpected]:
        raise UserError(
            f'{complaint} ({len(wrong)} tensors are in one of them only, e.g. {wrong[0]}).'
        )
