"""The one kind of error that is the user's to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from textwrap import shorten


class UserError(ValueError):
    """Wrong input, told in one sentence: the offending value and what would be right.

    The tools print it without a traceback; in Python it is a ``ValueError``.
    """


@contextmanager
def told(sentence: str, kinds: tuple[type[Exception], ...] = (Exception,)) -> Iterator[None]:
    """Turn what a host raises over the user's input into a :class:`UserError`.

    Args:
        sentence: What went wrong, without a full stop; the reason is added in brackets.
        kinds: What is turned.
    """
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        # The text of a KeyError is in quotes, and of some errors there is none.
        text = ' '.join(map(str, error.args)) if isinstance(error, KeyError) else str(error)
        reason = shorten(text, 200, placeholder=' ...') or type(error).__name__
        # The hosts look for 'mmpretrain.VisionTransformer' elsewhere if there is no mmpretrain.
        scope = re.match(r'(mm\w+)\.\S+ is not in the', text)
        if scope and find_spec(scope[1]) is None:
            reason = (
                f'{scope[0]} registries, and {scope[1]} is not installed: pip install {scope[1]}'
            )
        raise UserError(f'{sentence} ({reason}).') from error
