"""Errors that end a command with one sentence, and others."""

import pytest

from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.cli.runner import build_runner
from okdhp_mm.errors import UserError


def test_a_users_error_ends_the_program_with_its_sentence_and_others_keep_their_traceback():
    with pytest.raises(SystemExit) as caught, errors_in_one_sentence():
        raise UserError('the wrong thing; do the right thing.')
    assert caught.value.code == 'error: the wrong thing; do the right thing.'
    with pytest.raises(ZeroDivisionError), errors_in_one_sentence():
        raise ZeroDivisionError


def test_a_path_that_cannot_be_used_ends_the_program_with_its_name(demo, tmp_path):
    file = tmp_path / 'file'
    file.touch()
    demo.work_dir = str(file)
    uses = {
        file: lambda: build_runner(demo, 'train'),
        file / 'out': (file / 'out').mkdir,
        tmp_path: lambda: tmp_path.write_text(''),
    }
    for path, use in uses.items():
        with pytest.raises(SystemExit, match=f'^error: {path} cannot be used: .*[a-z].$'):
            with errors_in_one_sentence():
                use()


@pytest.mark.parametrize('bug', [FileNotFoundError(2, 'gone', 'a.txt'), OSError('no file at all')])
def test_other_errors_of_the_system_keep_their_traceback(bug):
    with pytest.raises(type(bug)), errors_in_one_sentence():
        raise bug
