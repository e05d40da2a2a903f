"""Values of ``--cfg-options``."""

import argparse

import pytest
from mmengine.config import Config

from okdhp_mm.cli.options import add_cfg_options, merge_options
from okdhp_mm.errors import UserError


@pytest.mark.parametrize('option', ['foo', 'model.branches 4'])
def test_an_option_without_a_value_is_told(option, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a=1', option])
    assert f'--cfg-options: \'{option}\' has no "="; write KEY=VALUE' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ("dict(type='Adam',lr=1e-3)", dict(type='Adam', lr=0.001)),
        ('dict(type=Adam,lr=-0.1)', dict(type='Adam', lr=-0.1)),
        ("{'a': {'b': [1, 2]}}", dict(a=dict(b=[1, 2]))),
        ("[dict(type='A'),dict(type='B',c=(1,2))]", [dict(type='A'), dict(type='B', c=(1, 2))]),
        ('dict(a=dict(b=true),c=None)', dict(a=dict(b=True), c=None)),
        ('{}', {}),
        ('dict()', {}),
        ('"dict(a=1)"', dict(a=1)),
        ("{'a=b': 1}", {'a=b': 1}),
        # As mmengine reads them:
        ('epoch_{}.pth', 'epoch_{}.pth'),
        ('[(a,b),(c,1)]', [('a', 'b'), ('c', 1)]),
        ('1,2', [1, 2]),
        ('a=b', 'a=b'),
    ],
)
def test_an_option_can_have_dicts_in_it(text, value):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    options = parser.parse_args(['--cfg-options', 'x=1', f'key={text}', 'y=2']).cfg_options
    assert options == dict(x=1, key=value, y=2)


@pytest.mark.parametrize(
    'text',
    ['dict(a=1', '{a:1', '{', 'dict(1)', 'dict(**a)', "dict(a=__import__('os'))", '{[]: 1}', '(1,'],
)
def test_an_option_that_cannot_be_read_is_refused(text, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', f'key={text}'])
    error = capsys.readouterr().err
    assert f'key={text}' in error and 'cannot be read; write a number' in error


def test_an_option_that_has_no_place_is_told():
    with pytest.raises(UserError, match='--cfg-options evaluator.ann_file=a.json cannot be merged'):
        merge_options(Config(dict(evaluator=[dict(ann_file='')])), {'evaluator.ann_file': 'a.json'})
