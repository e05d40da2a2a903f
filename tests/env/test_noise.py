"""Messages of other packages are dropped in a block, and nowhere else."""

import logging
import warnings
from contextlib import contextmanager

from mmengine.logging import MMLogger
from mmengine.logging import logger as printer
from sandbox import run_python

from okdhp_mm.env.noise import LOGGED, OPTIONAL_PACKAGES, READING, quiet, quiet_command


@contextmanager
def caplogged(logger):
    """Yield a list that gets what the handlers of a logger get."""
    texts = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def test_messages_are_dropped_only_in_the_block(capsys, recwarn):
    def speak():
        for text in (f'{OPTIONAL_PACKAGES[0]}.', 'another text'):
            getattr(printer, 'print', print)(text)
            warnings.warn(text, stacklevel=1)
        said = capsys.readouterr().out.splitlines(), [str(each.message) for each in recwarn.list]
        recwarn.clear()
        return said

    everything = [f'{OPTIONAL_PACKAGES[0]}.', 'another text']
    with quiet():
        warnings.simplefilter('always', append=True)
        assert speak() == (['another text'], ['another text'])
    warnings.simplefilter('always')
    assert speak() == (everything, everything)


def test_a_command_drops_what_others_say_about_their_own_work(capsys, recwarn):
    prints = [f'{READING[0]} from path: a.pth', f'{OPTIONAL_PACKAGES[0]}.', 'print']
    records = [f'{LOGGED[0]} registry tree.', 'record']
    warned = ['`isinstance(treespec, LeafSpec)` is deprecated, use another', 'warning']

    def speak():
        for text in prints:
            getattr(printer, 'print', print)(text)
        with caplogged(MMLogger.get_current_instance()) as logged:
            for text in records:
                MMLogger.get_current_instance().warning(text)
        for text in warned:
            warnings.warn(text, FutureWarning, stacklevel=1)
        printed = [line for line in capsys.readouterr().out.splitlines() if line in prints]
        said = printed, logged, [str(each.message) for each in recwarn.list]
        recwarn.clear()
        return said

    with quiet_command():
        warnings.simplefilter('always', append=True)
        assert speak() == (prints[-1:], records[-1:], warned[-1:])
    warnings.simplefilter('always')
    assert speak() == (prints, records, warned)


def test_an_import_does_not_read_the_arguments_of_its_program():
    code = 'import sys; del sys.argv, sys.orig_argv; import okdhp_mm; print("imported")'
    result = run_python(code)
    assert result.stdout.splitlines()[-1] == 'imported', result.stderr
