"""``python -m okdhp_mm COMMAND``: the list of commands, their help, and wrong command lines."""

import argparse
import re
import runpy
import shlex
import sys
import venv

import pytest
from sandbox import ROOT, run

from okdhp_mm.__main__ import main
from okdhp_mm.commands import COMMANDS, run_command

SCRIPTS = {
    'export': 'export_student',
    'convert': 'okdhp_config',
    'gap': 'generalization_gap',
    'pseudo-label': 'pseudo_label',
}
WITHOUT_SCRIPT = ('doctor',)


def status_of(program, *arguments):
    """Run something that ends the program. Return what it gives to the system."""
    with pytest.raises(SystemExit) as end:
        program(*arguments)
    return end.value.code


def run_script(name, arguments, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [f'{name}.py', *arguments])
    runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')


def examples_of(name, capsys):
    """Return the examples in the help of a command, as lists of arguments."""
    assert status_of(main, [name, '--help']) == 0
    text = capsys.readouterr().out.partition('\nexamples:\n')[2]
    return [shlex.split(line) for line in text.splitlines()]


@pytest.mark.parametrize('arguments', [[], ['--help'], ['-h']])
def test_the_commands_are_listed(arguments, capsys):
    assert status_of(main, arguments) == 0
    listed = capsys.readouterr().out.partition('\ncommands:\n')[2]
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)


def test_an_unknown_command_is_answered_with_the_known_ones(capsys):
    assert status_of(main, ['trian', '--help']) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: The command 'trian' does not exist. Use one of: train, test, ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize('name', COMMANDS)
def test_help_ends_with_two_examples(name, capsys):
    examples = examples_of(name, capsys)
    assert len(examples) == 2
    for example in examples:
        assert example[:4] == ['python', '-m', 'okdhp_mm', name]


@pytest.mark.parametrize('name', COMMANDS)
def test_the_examples_of_the_help_are_command_lines_of_the_command(name, capsys, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, arguments):
        parse(parser, arguments)
        raise InterruptedError

    examples = examples_of(name, capsys)
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    for example in examples:
        with pytest.raises(InterruptedError):
            run_command(name, example[4:])


@pytest.mark.parametrize('name', [name for name in COMMANDS if name not in WITHOUT_SCRIPT])
def test_a_script_has_the_same_help_and_the_same_usage_error(name, capsys, monkeypatch):
    script = SCRIPTS.get(name, name)
    for arguments, expected in ((['--help'], 0), (['--no-such-option'], 2)):
        assert status_of(main, [name, *arguments]) == expected
        command = capsys.readouterr()
        assert status_of(run_script, script, arguments, monkeypatch) == expected
        assert capsys.readouterr() == command


def test_every_script_runs_a_command():
    scripts = {file.stem for file in (ROOT / 'tools').glob('*.py')}
    assert scripts == {SCRIPTS.get(name, name) for name in COMMANDS} - set(WITHOUT_SCRIPT)


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('train', ['nowhere.py']),
        ('test', ['nowhere.py', 'nowhere.pth']),
        ('export', ['nowhere.py', 'nowhere.pth', 'student']),
        ('gap', ['nowhere.py', 'nowhere.pth']),
        ('convert', ['nowhere.py', '-o', 'out.py']),
        ('infer', ['photos', '--student', 'nowhere']),
        ('track', ['nowhere.json']),
    ],
)
def test_both_entries_end_with_the_same_sentence(name, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = status_of(main, [name, *arguments])
    assert sentence.startswith('error: ')
    assert 'nowhere' in sentence
    assert status_of(run_script, SCRIPTS.get(name, name), arguments, monkeypatch) == sentence


def test_without_torch_the_doctor_works_and_others_name_it(tmp_path):
    venv.create(tmp_path / 'bare', symlinks=True)
    bare = tmp_path / 'bare' / 'bin' / 'python'
    doctor = run(bare, '-m', 'okdhp_mm', 'doctor')
    assert doctor.returncode == 1
    assert re.search(r'^torch +broken +not installed$', doctor.stdout, re.MULTILINE)
    train = run(bare, '-m', 'okdhp_mm', 'train', 'okdhp/demo.py')
    script = run(bare, ROOT / 'tools' / 'train.py', 'okdhp/demo.py', PYTHONPATH=ROOT)
    assert train.returncode == script.returncode == 1
    sentence = train.stderr.splitlines()[-1]
    assert sentence.startswith('error: mmpose does not import (ModuleNotFoundError: ')
    assert sentence.endswith('`python -m okdhp_mm doctor` lists the commands that repair it.')
    assert script.stderr.splitlines()[-1] == sentence
    assert 'Traceback' not in doctor.stderr + train.stderr + script.stderr


@pytest.mark.parametrize(
    'source, option',
    [
        (['stock.py'], ['--pretrained', 'a.pth']),
        (['stock.py'], ['--no-flip']),
        (['--coco', 'a.json', '--images', 'a'], ['--split', 'layer1']),
    ],
)
def test_convert_refuses_an_option_that_would_have_no_effect(source, option, capsys):
    assert status_of(main, ['convert', *source, '-o', 'x.py', *option]) == 2
    assert f'{option[0]}: only for' in capsys.readouterr().err
