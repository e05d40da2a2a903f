"""The reliability benchmark, with a few runs of its checks."""

from reliability import crafted
from reliability.rows import row, table


def test_a_table_counts_failures_and_shows_the_first():
    lines = table([row('reading', [None, 'a|b', 'c'])]).splitlines()
    assert lines[-1] == '| reading | 3 | 2 | a\\|b |'


def test_no_command_in_a_checkpoint_runs(tmp_path):
    (result,) = crafted.check(crafted.RUNS, tmp_path)
    assert (result.runs, result.failures) == (crafted.RUNS, 0), result.example
