"""The cost of the report, at the size of a toy."""

import sys

import pytest
import report_cost


def test_fewer_repeats_than_quartiles_need_are_refused(config, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['report_cost.py', str(config), '--repeats', '1'])
    with pytest.raises(SystemExit):
        report_cost.main()
    assert '--repeats 1: quartiles need 2 at least' in capsys.readouterr().err


def test_two_repeats_are_enough(config, monkeypatch, capsys):
    arguments = [str(config), '--repeats', '2', '--batch-size', '2', '--interval', '10']
    monkeypatch.setattr(sys, 'argv', ['report_cost.py', *arguments])
    report_cost.main()
    assert 'interval=10: ' in capsys.readouterr().out
