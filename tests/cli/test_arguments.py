"""Paths and numbers on a command line."""

import argparse
from pathlib import Path

import pytest

from okdhp_mm.cli.arguments import expand_home, finite

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    'text, expected',
    [
        ('~/a', '/h/a'),
        ('~', '/h'),
        ('--out=~/a b', '--out=/h/a b'),
        ('load_from=~/a.pth', 'load_from=/h/a.pth'),
        ('a/~/b', 'a/~/b'),
        ('https://host/~user/a.pth', 'https://host/~user/a.pth'),
        ('--threshold=0.5', '--threshold=0.5'),
    ],
)
def test_a_tilde_means_home(monkeypatch, text, expected):
    monkeypatch.setenv('HOME', '/h')
    assert expand_home(text) == expected


@pytest.mark.parametrize(
    'command',
    [
        file
        for file in sorted((ROOT / 'okdhp_mm' / 'commands').glob('[!_]*.py'))
        if file.stem != 'reference'  # it prints a page of the docs, without arguments
    ],
    ids=lambda file: file.stem,
)
def test_every_command_expands_a_tilde(command):
    assert 'parse_command_line(parser, arguments)' in command.read_text()


@pytest.mark.parametrize('text', ['nan', 'inf', '-Infinity'])
def test_a_number_that_is_not_finite_is_refused(text):
    assert finite('0.25') == 0.25
    with pytest.raises(argparse.ArgumentTypeError, match=f'{text} is not a finite number'):
        finite(text)
