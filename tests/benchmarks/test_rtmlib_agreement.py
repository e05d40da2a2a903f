"""Without rtmlib; what it says with it is in tests/deploy/test_rtmlib.py."""

import importlib
import sys

import pytest

from okdhp_mm.errors import UserError


@pytest.fixture
def agreement(monkeypatch):
    """The script, where rtmlib cannot be imported."""
    monkeypatch.setitem(sys.modules, 'rtmlib', None)
    monkeypatch.delitem(sys.modules, 'rtmlib_agreement', raising=False)
    return importlib.import_module('rtmlib_agreement')


def test_help_needs_no_rtmlib(agreement, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['rtmlib_agreement.py', '--help'])
    with pytest.raises(SystemExit) as end:
        agreement.main()
    assert end.value.code == 0
    assert 'usage: rtmlib_agreement.py' in capsys.readouterr().out


def test_it_is_told_that_rtmlib_is_missing(agreement, tmp_path):
    with pytest.raises(UserError, match='needs rtmlib and onnx .*: pip install rtmlib onnx'):
        agreement.rtmlib_of(tmp_path / 'student.onnx')
