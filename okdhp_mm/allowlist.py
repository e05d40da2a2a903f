"""Reading checkpoints by a list of allowed types, under a torch that cannot do so itself.

Since 2.6 ``torch.load(weights_only=True)`` takes such a list; whoever has compiled mmcv 2.1 for
mmpose has an older one.
"""

from __future__ import annotations

import codecs
import os
import pickle
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import torch


@contextmanager
def restricted_load(allowed: Iterable) -> Iterator[None]:
    """Within it ``torch.load`` reads tensors and ``allowed``, whoever calls it and however.

    Args:
        allowed: As ``torch.serialization.safe_globals`` takes them: objects, or pairs of an object
            and the name under which pickles have it.

    Raises:
        pickle.UnpicklingError: By ``torch.load``, for a file that holds anything else.
    """
    originals = torch.load, torch.jit.load
    torch.load = _loader(torch.load, _pickle_module(_by_name(allowed)))
    torch.jit.load = _refuse_program  # torch.load calls it for what it takes for TorchScript
    try:
        yield
    finally:
        torch.load, torch.jit.load = originals


def _by_name(allowed: Iterable) -> dict[str, object]:
    """Those, and what torch allows without being asked, in later versions the second line too."""
    pairs = (entry if isinstance(entry, tuple) else (entry, None) for entry in allowed)
    return {
        **torch._weights_only_unpickler._get_allowed_globals(),
        **{'collections.Counter': Counter, '_codecs.encode': codecs.encode},
        **{name or f'{entry.__module__}.{entry.__qualname__}': entry for entry, name in pairs},
    }


def _pickle_module(allowed: dict[str, object]) -> SimpleNamespace:
    """What ``torch.load`` takes in place of ``pickle``; it finds nothing but ``allowed``."""

    class Unpickler(pickle._Unpickler):
        """In Python: the one in C changes what it is told to, classes as well."""

        dispatch = dict(pickle._Unpickler.dispatch)

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

        def load_build(self):
            if callable(self.stack[-2]):
                raise pickle.UnpicklingError(f'Changing {self.stack[-2]!r}')
            super().load_build()

        dispatch[pickle.BUILD[0]] = load_build

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
