"""Read checkpoints by a list of allowed types.

``torch.load(weights_only=True)`` takes such a list too, but hands the state of an allowed object to
the object. That of a numpy ``dtype`` can declare raw bytes to be Python objects or memory that does
not exist. This unpickler checks the states of ``dtype`` and ``ndarray``.
"""

from __future__ import annotations

import math
import os
import pickle
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch

PLAIN_KINDS = 'biufcSU'
"""Kinds of numpy dtypes without Python objects, fields and units."""


@contextmanager
def restricted_load(allowed: Iterable) -> Iterator[None]:
    """Make ``torch.load`` read tensors, numpy arrays and ``allowed``, and refuse everything else.

    Args:
        allowed: As ``torch.serialization.safe_globals`` takes them: objects, or pairs of an object
            and its name in pickles.

    Raises:
        pickle.UnpicklingError: By ``torch.load``, for a file that holds anything else.
    """
    originals = torch.load, torch.jit.load
    torch.load = _loader(torch.load, _pickle_module(_by_name(allowed)))
    torch.jit.load = _refuse_program  # torch.load calls it for a TorchScript archive
    try:
        yield
    finally:
        torch.load, torch.jit.load = originals


def _by_name(allowed: Iterable) -> dict[str, object]:
    """Return the allowed objects, those that torch allows by itself, and the stand-ins."""
    pairs = (entry if isinstance(entry, tuple) else (entry, None) for entry in allowed)
    return {
        **torch._weights_only_unpickler._get_allowed_globals(),
        'collections.Counter': Counter,
        **_STAND_INS,
        **{name or f'{entry.__module__}.{entry.__qualname__}': entry for entry, name in pairs},
    }


def _bytes(text: str = '', encoding: str = 'latin1') -> bytes:
    """Stand-in for ``bytes`` and ``codecs.encode``, which pickles of protocol 2 call."""
    if not isinstance(text, str):
        raise pickle.UnpicklingError(f'bytes of {text!r}')
    return text.encode('latin1')


def _bytearray(content: bytes | str = b'', encoding: str = 'latin1') -> bytearray:
    """Stand-in for ``bytearray``."""
    return bytearray(content if isinstance(content, bytes) else _bytes(content))


def _empty_array(*_) -> np.ndarray:
    """Stand-in for numpy's ``_reconstruct``: an array that gets its content by its state."""
    return np.ndarray(0)


def _dtype(text: str, *_) -> np.dtype:
    """Stand-in for ``np.dtype``."""
    # Never of a list of fields, and a copy, because its state is set in place.
    dtype = np.dtype(text, copy=True) if isinstance(text, str) else np.dtype(object)
    if dtype.kind not in PLAIN_KINDS:
        raise pickle.UnpicklingError(f'Unsupported array: dtype({text!r})')
    return dtype


# Asked of numpy, which keeps it in different modules in different versions.
_SCALAR = np.float64(0).__reduce__()[0]
_STAND_INS = {
    'builtins.bytes': _bytes,
    'builtins.bytearray': _bytearray,
    '_codecs.encode': _bytes,
    'numpy.ndarray': None,  # only an argument of _reconstruct
    'numpy.dtype': _dtype,
    # Pickles of numpy 1 and 2 name the same functions differently.
    'numpy.core.multiarray._reconstruct': _empty_array,
    'numpy._core.multiarray._reconstruct': _empty_array,
    'numpy.core.multiarray.scalar': _SCALAR,
    'numpy._core.multiarray.scalar': _SCALAR,
}
"""Functions in place of those that could allocate memory or run code."""


def _checked_state(owner: object, state: Any) -> Any:
    """Return the state that a pickle gives to an object.

    Raises:
        pickle.UnpicklingError: If the state is not one that numpy writes.
    """
    if callable(owner):
        raise pickle.UnpicklingError(f'Changing {owner!r}')
    if isinstance(owner, np.dtype):
        _, order, *structure = state[:5]
        if structure != [None] * 3 or order not in ('<', '>', '|', '='):
            raise pickle.UnpicklingError(f'Unsupported array: {owner!r} as {state!r}')
        return owner.newbyteorder(order).__reduce__()[2]
    if isinstance(owner, np.ndarray):
        _, shape, dtype, _, content = state
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or not isinstance(content, bytes) or len(content) != size:
            raise pickle.UnpicklingError(f'Unsupported array: {shape} of {dtype!r}')
    return state


def _pickle_module(allowed: dict[str, object]) -> SimpleNamespace:
    """Return a stand-in for ``pickle`` that finds nothing but ``allowed``."""
    functions = {id(entry) for entry in allowed.values()}

    stock: dict[int, Callable[..., None]] = dict(pickle._Unpickler.dispatch)

    class Unpickler(pickle._Unpickler):
        """Unpickler in Python, because the one in C sets states without asking."""

        stack: list[Any]
        dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(stock)

        def load(self) -> object:
            try:
                return super().load()
            except KeyError as error:
                raise pickle.UnpicklingError(f'Unsupported operand {error}') from error

        def find_class(self, module: str, name: str) -> object:
            full_name = f'{module}.{name}'.replace('__builtin__.', 'builtins.')  # of protocol 2
            if full_name not in allowed:
                raise pickle.UnpicklingError(f'Unsupported global: GLOBAL {full_name}')
            return allowed[full_name]

        def load_build(self) -> None:
            self.stack[-1] = _checked_state(self.stack[-2], self.stack[-1])
            stock[pickle.BUILD[0]](self)

        def load_reduce(self) -> None:
            if id(self.stack[-2]) not in functions:
                raise pickle.UnpicklingError(f'Calling {self.stack[-2]!r}')
            stock[pickle.REDUCE[0]](self)

        dispatch[pickle.BUILD[0]] = load_build
        dispatch[pickle.REDUCE[0]] = load_reduce

    def load(file, **options) -> object:
        return Unpickler(file, **options).load()

    return SimpleNamespace(__name__=__name__, Unpickler=Unpickler, load=load)


def _loader(load: Callable, pickle_module: SimpleNamespace) -> Callable:
    def restricted(f, map_location=None, *_, **__):
        if isinstance(f, (str, os.PathLike)):
            with open(f, 'rb') as file:
                return restricted(file, map_location)
        start = f.tell()
        # torch would unpack it to the disk.
        if tarfile.is_tarfile(f):
            raise pickle.UnpicklingError('An archive of torch 0.1')
        f.seek(start)
        return load(f, map_location, pickle_module, weights_only=False)

    return restricted


def _refuse_program(*_, **__):
    raise pickle.UnpicklingError('A TorchScript program')
