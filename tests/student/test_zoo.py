"""Several students of one training, and what is written about them."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from common import build, shake
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student import zoo
from okdhp_mm.student.zoo import export_all

DEMO = Path(__file__).parents[2] / 'configs' / 'okdhp' / 'demo.py'
BRANCHES = [dict(), dict(head=dict(conv_out_channels=(32,), conv_kernel_sizes=(3,)))]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config of two unequal branches on data that are there, and a checkpoint."""
    folder = tmp_path_factory.mktemp('students')
    annotations = write_coco(folder / 'data', 'val', 6, seed=0)
    cfg = Config.fromfile(DEMO)
    cfg.model.branches = BRANCHES
    cfg.test_dataloader.dataset.data_root = f'{folder / "data"}/'
    cfg.test_evaluator.metric.ann_file = str(annotations)
    torch.save(dict(state_dict=shake(build(cfg.model)).state_dict()), folder / 'last.pth')
    return cfg, str(folder / 'last.pth')


def rows(file):
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_the_table_names_every_student_its_cost_and_its_score(trained, tmp_path):
    plain, wide = rows(export_all(*trained, tmp_path))
    assert [plain['branch'], wide['branch']] == ['0', '1']
    # A 3x3 convolution to 32 channels with bias, its norm, and the wider final layer.
    added = (16 * 32 * 9 + 32) + 2 * 32 + (32 - 16) * 17
    assert int(wide['parameters']) - int(plain['parameters']) == added
    assert int(wide['flops']) > int(plain['flops'])
    for row in (plain, wide):
        assert float(row['cpu_ms']) > 0
        assert 0 <= float(row['coco/AP']) <= 1
        assert (tmp_path / row['config']).is_file() and (tmp_path / row['checkpoint']).is_file()


def test_without_test_data_the_score_is_left_empty(trained, tmp_path, capsys):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    assert [row['coco/AP'] for row in rows(export_all(cfg, checkpoint, tmp_path))] == ['', '']
    assert 'not evaluated' in capsys.readouterr().out


def test_a_training_that_tests_nothing_has_a_table_without_scores(trained, tmp_path, capsys):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    assert [row['coco/AP'] for row in rows(export_all(cfg, checkpoint, tmp_path))] == ['', '']
    assert 'not evaluated: The score requires test_dataloader' in capsys.readouterr().out


@pytest.mark.parametrize('named', [None, 'auto', ['coco/AP', 'coco/AR']], ids=str)
def test_the_score_is_the_metric_named_first_or_else_found_first(trained, tmp_path, named):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.default_hooks.checkpoint.save_best = named
    metric, scores = zoo.score_branches(cfg, checkpoint, 2, tmp_path)
    assert metric == 'coco/AP'
    assert all(0 <= score <= 1 for score in scores)


def test_a_score_that_the_evaluation_does_not_find_is_told(trained, tmp_path, capsys):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.default_hooks.checkpoint.save_best = 'PCK'
    assert zoo.score_branches(cfg, checkpoint, 2, tmp_path) == ('PCK', [None, None])
    assert "not scored: save_best='PCK' is none of coco/AP, " in capsys.readouterr().out


def test_the_config_of_a_resumed_training_needs_no_training_data(trained, tmp_path):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.resume = True
    _, scores = zoo.score_branches(cfg, checkpoint, 2, tmp_path)
    assert all(0 <= score <= 1 for score in scores)


def test_a_model_that_says_nothing_of_tests_is_scored(trained, tmp_path):
    cfg, checkpoint = trained
    cfg = Config(cfg.to_dict())
    cfg.model.test_cfg = None
    _, scores = zoo.score_branches(cfg, checkpoint, 2, tmp_path)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize('named', ['coco/AP', 'auto'])
def test_the_student_of_a_frozen_teacher_is_scored_without_its_files(trained, tmp_path, named):
    cfg = Config(trained[0].to_dict())
    cfg.default_hooks.checkpoint.save_best = named
    cfg.model.branches = 1
    apply_method(cfg.model, 'fpd')
    state = shake(build(cfg.model)).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'taught.pth')
    cfg.model.teacher.update(config='nowhere.py', checkpoint='nowhere.pth')
    schemes = dict(CheckpointLoader._schemes)
    metric, (score,) = zoo.score_branches(cfg, str(tmp_path / 'taught.pth'), 1, tmp_path)
    assert metric == 'coco/AP'
    assert 0 <= score <= 1
    assert CheckpointLoader._schemes == schemes, 'the host loads as it did'


@pytest.mark.parametrize('there', ['students.csv', 'branch1/student.py', 'branch1/student.pth'])
def test_what_is_there_is_found_before_anything_is_written(trained, tmp_path, there):
    file = tmp_path / there
    file.parent.mkdir(exist_ok=True)
    file.write_text('mine')
    with pytest.raises(UserError, match=f'{there} already there; --force overwrites'):
        export_all(*trained, tmp_path)
    assert file.read_text() == 'mine'
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == [file]


def test_force_overwrites_what_is_there(trained, tmp_path):
    (tmp_path / 'branch1').mkdir()
    for there in ('students.csv', 'branch1/student.py'):
        (tmp_path / there).write_text('mine')
    plain, wide = rows(export_all(*trained, tmp_path, force=True))
    assert 'mine' != (tmp_path / wide['config']).read_text()


def test_latencies_are_the_fastest_of_rounds_in_which_the_students_take_turns(monkeypatch):
    turns = []
    monkeypatch.setattr(zoo, 'load_student', lambda folder: folder.name)
    monkeypatch.setattr(zoo, 'seconds', lambda model: turns.append(model) or len(turns) / 1000)
    exports = [SimpleNamespace(config=Path(name, 'student.py')) for name in 'ab']
    assert zoo.latencies(exports) == [3, 4], 'the first round warms up'
    assert turns == ['a', 'b'] * (1 + zoo.ROUNDS)


def test_a_latency_is_that_of_one_thread_and_not_what_others_take(monkeypatch):
    def asleep(*_, mode):
        threads.append(torch.get_num_threads())
        time.sleep(0.01)

    threads, before = [], torch.get_num_threads()
    asleep.head = SimpleNamespace(decoder=SimpleNamespace(input_size=(8, 8)))
    monkeypatch.setattr(zoo, 'load_student', lambda _: asleep)
    try:
        torch.set_num_threads(2)
        (milliseconds,) = zoo.latencies([SimpleNamespace(config=Path('student.py'))])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(threads) == {1}
    assert milliseconds < 5
