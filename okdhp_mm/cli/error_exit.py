"""End a command with one sentence for an error that the user can fix."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from ..errors import CodeError, UserError, interrupt_of

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNUSABLE = {errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EPERM, errno.EROFS}
"""Errors of a path that the user named. ENOENT is not among them, because it may be our bug."""
COMPLETE = 'The files written so far are complete.'
INCOMPLETE = 3
"""Exit status of a command that could not read some of its input."""


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """End the program with the sentence of a :class:`UserError`.

    The traceback follows if the cause may be a bug, and always if ``OKDHP_DEBUG`` is set. Paths
    that cannot be read or written are reported in the same way.
    """
    # A full disk lacks room for log files too; the tool ends when it writes its next result.
    reported, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if interrupt := interrupt_of(error):
            exit_with_error(str(interrupt) or f'Interrupted. {COMPLETE}', error, None)
        if isinstance(error, UserError):
            cause = error.__cause__ if isinstance(error, CodeError) else None
            # torch puts the traceback of a worker process before the sentence of its error.
            sentence = str(error).rpartition(f'{UserError.__name__}: ')[2].strip()
            exit_with_error(sentence, error, cause)
        if isinstance(error, OSError) and error.errno in FULL:
            file = error.filename or 'A file'
            what = f'{file} cannot be written: {error.strerror}.'
            exit_with_error(f'{what} {COMPLETE}', error, None)
        if isinstance(error, OSError) and error.errno in UNUSABLE and error.filename is not None:
            exit_with_error(f'{error.filename} cannot be used: {error.strerror}.', error, None)
        raise
    finally:
        logging.raiseExceptions = reported


def exit_with_error(sentence: str, error: BaseException, cause: BaseException | None) -> NoReturn:
    """End the program with a sentence, and the traceback of the cause or, to debug, of all."""
    if os.environ.get('OKDHP_DEBUG', '0') not in ('', '0'):
        cause = error
    trace = ''.join(traceback.format_exception(cause)) if cause else ''
    sys.exit(f'error: {sentence}' + (f'\n\n{trace}' if trace else ''))
