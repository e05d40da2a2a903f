"""The reliability benchmark, with a few runs of its checks."""

import os
import signal
import time
from pathlib import Path

import pytest
from reliability import canary, crafted, disk, fuzz, kills
from reliability.project import make_project
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


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp('project'), export=False)


def test_a_crafted_file_does_not_run_in_the_tools(project):
    entries = canary.checkpoint_entries(project)
    marker, file = project.folder / 'canary', project.folder / 'epoch_1.pth'
    kinds = dict(canary.crafted_checkpoints(project, marker))
    kinds['command in meta.cfg, legacy'](file)
    assert canary.judged('test.py', entries['test.py'](file, ''), marker) is None


def test_a_canary_is_noticed(tmp_path):
    (tmp_path / 'canary').mkdir()
    assert canary.judged('a', None, tmp_path / 'canary') == 'a: the code ran'


def test_damaged_pictures_and_annotations_end_in_a_sentence(project, tmp_path):
    outcomes = [
        *fuzz.of_pictures(project, 50, fuzz.look_at_picture),
        *fuzz.of_annotations(tmp_path / 'annotations', 5, complete=0),
    ]
    assert outcomes == [None] * 55


def test_a_crash_a_hang_and_a_traceback_are_noticed(tmp_path, monkeypatch):
    def crash(files):
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(files):
        raise ValueError('no sentence')

    def hang(files):
        signal.alarm(1)
        time.sleep(9)

    for work, words in ((crash, 'SIGKILL'), (fail, 'traceback'), (hang, 'hangs')):
        (outcome,) = fuzz.in_process(tmp_path / 'log', work, [Path('a.jpg')])
        assert outcome.startswith('a.jpg: ') and words in outcome


def test_a_full_disk_ends_in_a_sentence(project):
    assert list(disk.limited(project, [('test --dump', 20_000)])) == [None]


def test_half_a_student_is_noticed(tmp_path):
    before = disk.written_before(tmp_path)
    assert disk.broken(tmp_path, before) is None
    (tmp_path / 'student' / 'student.py').write_text('new')
    assert disk.broken(tmp_path, before) == 'the student is half old and half new'


def test_a_training_that_was_killed_in_a_write_resumes_exactly(tmp_path):
    import_all()
    folder = tmp_path / 'okdhp'
    # In the second epoch: a checkpoint was reached.
    assert list(kills.killed('okdhp', [(True, 0.5)], folder)) == [None]
    assert kills.difference(folder / 'run0', folder / 'whole') is None
    log = folder / 'whole.losses'
    log.write_text(log.read_text().replace('8 0x1', '8 0x2'))
    assert kills.difference(folder / 'run0', folder / 'whole') == 'the loss of step 8 differs'


@pytest.mark.slow
@pytest.mark.parametrize('variant', VARIANTS)
def test_killed_trainings_of_every_kind_resume_exactly(variant, tmp_path):
    import_all()
    moments = [(True, 0.4), (True, 0.95), (False, 0.8)]
    assert list(kills.killed(variant, moments, tmp_path / variant)) == [None] * 3
