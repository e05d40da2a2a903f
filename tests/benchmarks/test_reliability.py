"""The reliability benchmark, with a few runs of its checks."""

import pytest
from reliability import crafted, kills
from reliability.rows import row, table
from reliability.training import VARIANTS, import_all


def test_a_table_counts_failures_and_shows_the_first():
    lines = table([row('reading', [None, 'a|b', 'c'])]).splitlines()
    assert lines[-1] == '| reading | 3 | 2 | a\\|b |'


def test_no_command_in_a_checkpoint_runs(tmp_path):
    (result,) = crafted.check(crafted.RUNS, tmp_path)
    assert (result.runs, result.failures) == (crafted.RUNS, 0), result.example


def test_kills_are_spread_over_writes_and_time():
    moments = kills.spread(kills.RUNS)
    writes = [share for in_write, share in moments if in_write]
    assert len(moments) == kills.RUNS and len(writes) == kills.RUNS // 2
    assert min(writes) < 0.05 and max(writes) > 0.95
    for k in range(len(VARIANTS)):
        assert {in_write for in_write, _ in moments[k :: len(VARIANTS)]} == {True, False}


def test_a_training_that_was_killed_in_a_write_resumes_exactly(tmp_path):
    import_all()
    folder = tmp_path / 'okdhp'
    # In the second epoch: a checkpoint was reached.
    assert list(kills.killed('okdhp', [(True, 0.5)], folder)) == [None]
    log = folder / 'whole.losses'
    log.write_text(log.read_text().replace('8 0x1', '8 0x2'))
    fault = kills.resumed('okdhp', folder / 'run0', folder / 'whole', folder / 'log')
    assert fault == 'the loss of step 8 differs'


@pytest.mark.slow
@pytest.mark.parametrize('variant', VARIANTS)
def test_killed_trainings_of_every_kind_resume_exactly(variant, tmp_path):
    import_all()
    moments = [(True, 0.4), (True, 0.95), (False, 0.8)]
    assert list(kills.killed(variant, moments, tmp_path / variant)) == [None] * 3
