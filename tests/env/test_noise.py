"""Messages of other packages are dropped in a block, and nowhere else."""

import warnings

from mmengine.logging import logger as printer
from sandbox import run_python

from okdhp_mm.env.noise import OPTIONAL_PACKAGES, quiet


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


def test_an_import_does_not_read_the_arguments_of_its_program():
    code = 'import sys; del sys.argv, sys.orig_argv; import okdhp_mm; print("imported")'
    result = run_python(code)
    assert result.stdout.splitlines()[-1] == 'imported', result.stderr
