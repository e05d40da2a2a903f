"""Turns, the clock that is not fooled, and the median of paired ratios."""

import itertools
import time
from types import SimpleNamespace

import pytest
import timing
import torch


def test_sides_take_turns_after_one_round_of_warm_up():
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in 'ab'}
    seconds = timing.take_turns(sides, repeats=2)
    assert ''.join(calls) == 'ababab'
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_the_warm_up_and_the_clock_may_be_others():
    calls, ticks = [], itertools.count()
    seconds = timing.take_turns(
        {'a': lambda: calls.append('a')}, repeats=2, warm_up=3, clock=lambda: next(ticks)
    )
    assert len(calls) == 5
    assert seconds == dict(a=[1, 1])


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is timed by the wall clock')
@pytest.mark.parametrize(('threads', 'waits'), [(1, False), (2, True)])
def test_one_thread_is_not_charged_for_what_others_take(monkeypatch, threads, waits):
    monkeypatch.setattr(torch, 'get_num_threads', lambda: threads)
    seconds = timing.take_turns({'asleep': lambda: time.sleep(0.05)}, repeats=1)
    assert (seconds['asleep'][0] > 0.04) == waits


def test_the_ratio_is_the_median_of_paired_ones(capsys):
    timing.report({'a': [2.0, 30.0, 4.0], 'b': [1.0, 10.0, 4.0]}, 'b')
    assert ' 2.000 (1.000 .. 3.000)' in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU counts what torch allocates')
def test_memory_is_that_of_the_run(monkeypatch):
    maximum = SimpleNamespace(ru_maxrss=2**30)
    monkeypatch.setattr(timing.resource, 'getrusage', lambda who: maximum)
    runs = []
    before = timing.memory_of(lambda: runs.append(1))
    kept = torch.ones(2**26)
    # A system that is short of memory takes pages of ours away meanwhile.
    assert before - timing.memory_of(lambda: runs.append(2)) == pytest.approx(256, abs=64)
    assert runs == [1, 2] and kept.any()
