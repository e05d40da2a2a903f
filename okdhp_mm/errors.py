"""Exceptions for mistakes the user can fix, told apart from bugs in code."""

from __future__ import annotations

import dis
import re
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from traceback import walk_tb

PACKAGE = str(Path(__file__).parent)
STANDARD_LIBRARY = sysconfig.get_paths()['stdlib']
PROGRAMMING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
)
"""Exceptions that Python raises for wrong code, and other packages also for wrong input."""
NOT_ON_PYPI = dict(poseval='git+https://github.com/svenkreiss/poseval.git')
SIGNATURE = re.compile(r'unexpected keyword argument|missing \d+ required|takes .* arguments?')


class UserError(ValueError):
    """Wrong input. The message is one sentence: the offending value and what would be right.

    The tools print it without a traceback; in Python it is a ``ValueError``.
    """


class CodeError(UserError):
    """A :class:`UserError` that may come from a bug: the tools print its cause's traceback."""


def check_choice(setting: str, value: object, choices: Sequence) -> None:
    """Check that a setting has one of its possible values.

    Raises:
        UserError: If it has another.
    """
    if value not in choices:
        raise UserError(f'{setting}={value!r} is not one of {tuple(choices)}. Set one of them.')


def join_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first names and the number of the others, or 'none'."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return (', '.join(names[:most]) or 'none') + more


@contextmanager
def as_user_error(sentence: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn exceptions that other packages raise for the user's input into a :class:`UserError`.

    An exception from the user's own code, or from a bug elsewhere, becomes a :class:`CodeError`
    that names its type, file and line.

    Args:
        sentence: The problem, without a full stop. The reason is added in brackets.
        kinds: The exceptions to turn.
    """
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        if place := own_line(error):
            raise CodeError(f'{sentence} ({place}: {reason_of(error)}).') from error
        kind = UserError if is_refusal(error) else CodeError
        raise kind(f'{sentence} ({reason_of(error)}).') from error


@contextmanager
def missing_package_as_import_error() -> Iterator[None]:
    """Turn the RuntimeError of mmpose for a missing albumentations into an ImportError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).endswith('is not installed'):
            raise
        raise ImportError(str(error)) from error


def reason_of(error: Exception) -> str:
    """Return the text of an exception in one line, with the command that installs a package."""
    # The text of a KeyError is in quotes, and some errors have no text.
    text = ' '.join(map(str, error.args)) if isinstance(error, KeyError) else str(error)
    # mmengine looks in other registries for 'mmpretrain.VisionTransformer' without mmpretrain.
    scope = re.match(r'(mm\w+)\.(\S+) is not in the', text)
    if scope and scope[1] == 'mmcls':
        return f'mmcls is mmpretrain now; write mmpretrain.{scope[2]}'
    if scope and find_spec(scope[1]) is None:
        return f'{scope[0]} registries, and {scope[1]} is not installed: pip install {scope[1]}'
    reason = shorten(text, 200, placeholder=' ...') or type(error).__name__
    package = missing_package(error)
    if package is None or 'pip install' in text:
        return reason
    return f'{reason}: pip install {NOT_ON_PYPI.get(package, package)}'


def missing_package(error: BaseException) -> str | None:
    """Return the name of the package whose absence led to an exception, if one did."""
    for link in chain_of(error):
        if isinstance(link, ModuleNotFoundError) and link.name:
            return link.name.partition('.')[0]
        # mmpose's words for albumentations and for poseval.
        if match := re.search(r'^(\w+) is not installed|[Pp]lease install `*(\w+)`* ', str(link)):
            return match[1] or match[2]
    return None


def own_line(error: BaseException) -> str | None:
    """Return type, file and line of the innermost frame in the user's own code, if there is one."""
    for link in chain_of(error):
        lines = [
            f'{frame.f_code.co_filename}, line {line}'
            for frame, line in walk_tb(link.__traceback__)
            if is_own(frame.f_code.co_filename)
        ]
        if lines:
            return f'{type(link).__name__} in {lines[-1]}'
    return None


def is_own(filename: str) -> bool:
    """Return whether a file is neither of this package nor of an installed one nor of Python."""
    installed = {'site-packages', 'dist-packages'} & set(Path(filename).parts)
    ours = filename.startswith((f'{PACKAGE}/', f'{STANDARD_LIBRARY}/', '<'))
    return not (installed or ours)


def is_refusal(error: Exception) -> bool:
    """Return whether an exception refuses wrong input, and is not a bug of this or other packages.

    Packages refuse input by a ``raise`` statement, while the interpreter raises over bugs. It also
    raises over arguments that a config names and a class does not take.
    """
    if not isinstance(error, PROGRAMMING_ERRORS) or SIGNATURE.search(str(error)):
        return True
    last = error.__traceback__
    assert last is not None  # `error` was raised
    while last.tb_next:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == 'RAISE_VARARGS'


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that led to it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def interrupt_of(error: BaseException) -> KeyboardInterrupt | None:
    """Return the Ctrl-C that led to an exception, if one did.

    Other packages have bare ``except`` clauses that turn it into another error.
    """
    links = (link for link in chain_of(error) if isinstance(link, KeyboardInterrupt))
    return next(links, None)
