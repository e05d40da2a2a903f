"""All branches at once against loops, at the size of a toy."""

import sys

import kd_losses
import pytest


def test_help_measures_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['kd_losses.py', '--help'])
    with pytest.raises(SystemExit) as end:
        kd_losses.main()
    assert end.value.code == 0
    assert '--repeats' in capsys.readouterr().out


def test_both_sides_are_timed(monkeypatch, capsys):
    for size in ('KEYPOINTS', 'HEIGHT', 'WIDTH'):
        monkeypatch.setattr(kd_losses, size, 4)
    monkeypatch.setattr(sys, 'argv', ['kd_losses.py', '--repeats', '2'])
    kd_losses.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ['vectorised', 'loops']
