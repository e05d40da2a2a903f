"""Data files and configs that mmengine and numpy read, without running them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import yaml
from mmengine.fileio.handlers import PickleHandler, YamlHandler, file_handlers

from ..errors import UserError

PICKLES = ('pkl', 'pickle')


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Raises:
        UserError: If it cannot be read, is not UTF-8, or is not complete JSON.
    """
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from None
    except UnicodeDecodeError as error:
        where = f'{error.reason} at byte {error.start}'
        raise UserError(f'{path} is not UTF-8 text ({where}).') from error
    except RecursionError as error:
        raise UserError(f'{path} is nested too deeply.') from error
    except ValueError as error:  # also an integer of more than 4,300 digits
        raise UserError(f'{path} is not complete JSON ({error}).') from error


class DataFileError(UserError):
    """Data file that would run code when it is read. The reader does not know its name."""


class PlainYamlHandler(YamlHandler):
    """YAML without tags that make Python objects."""

    def load_from_fileobj(self, file, **_) -> Any:
        """Read numbers, text, lists and dicts.

        Raises:
            UserError: If there is anything else in the file.
        """
        try:
            return yaml.safe_load(file)
        except yaml.constructor.ConstructorError as error:
            raise DataFileError(
                f'A YAML file is refused, because its tags can run code ({error.problem}). Write '
                'it without tags.'
            ) from error


class NoPickleHandler(PickleHandler):
    """Pickles that are written and not read."""

    def load_from_fileobj(self, file, **_) -> Any:
        """Refuse to read.

        Raises:
            UserError: Always.
        """
        raise DataFileError('A pickle is refused, because it can run code. Write it as JSON.')


SAFE_HANDLERS = {
    **dict.fromkeys(('yaml', 'yml'), PlainYamlHandler()),
    **dict.fromkeys(PICKLES, NoPickleHandler()),
}


_load = np.load
OF_PICKLES = 'pickle'
"""Part of every message of numpy about a file with pickled objects."""


def load_plain_arrays(file, mmap_mode=None, allow_pickle=False, **options) -> Any:
    """Read as ``np.load`` does, but never pickled objects.

    mmpose's reader of the H3WB dataset allows them.

    Raises:
        ValueError: If the file holds pickled objects; of a ``.npz``, when they are read.
    """
    return _load(file, mmap_mode, allow_pickle=False, **options)


def use_safe_handlers() -> None:
    """Make ``mmengine.load`` and ``np.load`` refuse pickles and tags in YAML, in this process."""
    file_handlers.update(SAFE_HANDLERS)
    np.load = load_plain_arrays  # type: ignore[assignment]  # takes only the common arguments


@contextmanager
def safe_handlers() -> Iterator[None]:
    """Call :func:`use_safe_handlers` for the duration of a ``with`` block."""
    before, load = dict(file_handlers), np.load
    use_safe_handlers()
    try:
        yield
    finally:
        file_handlers.update(before)
        np.load = load
