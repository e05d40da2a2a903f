"""A training ends with one file that shows it."""

import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpose.registry import MODELS

from okdhp_mm.cli.runner import build_runner
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.io.config import read_config
from okdhp_mm.report import reporting, write_report
from okdhp_mm.report.costs import training_costs
from okdhp_mm.report.training import try_to_write
from okdhp_mm.student.complexity import complexity
from okdhp_mm.student.config import student_config

ROOT = Path(__file__).parents[2]
HOSTILE = '<script>alert(1)</script>'


def config_of(folder):
    write_coco(folder / 'data', 'train', 8, seed=0)
    write_coco(folder / 'data', 'val', 2, seed=0)
    cfg = read_config(ROOT / 'configs' / 'okdhp' / 'demo.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{folder / "data"}/'
    annotations = folder / 'data' / 'annotations' / 'person_keypoints_val2017.json'
    cfg.val_evaluator.metric.ann_file = str(annotations)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    # Visualizers of one name share the folder of the first.
    cfg.visualizer.name = folder.name
    return cfg


class Page(HTMLParser):
    """Tags, addresses and texts of a page."""

    def __init__(self, file):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ''
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ('src', 'href', 'xlink:href', 'srcset')]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A runner after a short training, and its report."""
    folder = tmp_path_factory.mktemp('reported')
    cfg = config_of(folder)
    cfg = Config(cfg.to_dict(), cfg_text=' ', filename=f'{HOSTILE.replace("/", "")}.py')
    cfg.work_dir = str(folder / 'work')
    cfg.experiment_name = 'reported'
    runner = build_runner(cfg, 'train', 'val')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'orig_argv', ['python', '-m', 'okdhp_mm', 'train', HOSTILE])
        with reporting(runner):
            runner.train()
    return runner, Page(folder / 'work' / 'report.html')


def test_the_report_has_every_part(run):
    _, page = run
    for part in (
        *('coco/AP', 'branch0 (deployed)', 'ensemble', 'Total loss', 'loss_kd'),
        *('Share of distillation in the gradient', 'Student', 'Training network'),
        *('Examples', '000000000001.jpg', 'How it was trained', 'mmpose', 'Complete config'),
    ):
        assert part in page.text, part
    assert page.tags.count('img') == 2, 'one for each validation sample'
    assert page.tags.count('svg') >= 6
    assert 'ended early' not in page.text


def test_the_report_needs_no_other_file_and_runs_nothing(run):
    _, page = run
    assert not {'script', 'link', 'iframe', 'object', 'base'} & set(page.tags)
    assert all(address.startswith(('data:image/', '#')) for address in page.addresses)


def test_names_of_the_user_are_shown_as_text(run):
    _, page = run
    assert f'Training of {HOSTILE.replace("/", "")}' in page.text
    assert HOSTILE in page.text, 'the command'


def test_the_student_is_counted_as_the_export_counts_it(run):
    runner, _ = run
    student = MODELS.build(student_config(runner.cfg, 0).model)
    costs = training_costs(runner.model)
    found, expected = costs['Student'], complexity(student)
    assert (found.parameters, found.flops) == (expected.parameters, expected.flops)
    tensors = student.state_dict().values()
    assert found.size == sum(value.numel() * value.element_size() for value in tensors)
    assert costs['Training network'].flops > found.flops
    assert costs['Training network'].parameters > found.parameters
    assert training_costs(student)['Network'] == found


def test_an_interrupted_training_is_reported_and_stays_interrupted(run):
    runner, _ = run
    file = Path(runner.work_dir, 'report.html')
    file.unlink()
    with pytest.raises(KeyboardInterrupt), reporting(runner):
        raise KeyboardInterrupt
    page = Page(file)
    assert 'Total loss' in page.text and 'img' not in page.tags
    file.unlink()
    for error, wanted in ((KeyboardInterrupt, False), (ZeroDivisionError, True)):
        with pytest.raises(error), reporting(runner, wanted):
            raise error
    assert not file.exists()


def test_a_report_that_cannot_be_written_fails_no_training(run, monkeypatch):
    runner, _ = run
    told = []
    monkeypatch.setattr(runner.logger, 'warning', told.append)
    file = Path(runner.work_dir, 'report.html')
    file.unlink(missing_ok=True)
    file.mkdir()
    try:
        assert try_to_write(runner, 0) is None
    finally:
        file.rmdir()
    (sentence,) = told
    assert str(file) in sentence and 'was not written' in sentence


def test_a_training_that_logged_nothing_is_reported_with_the_reason(run, tmp_path):
    runner, _ = run
    before, runner._work_dir = runner._work_dir, str(tmp_path)
    try:
        page = Page(write_report(runner, examples=0))
    finally:
        runner._work_dir = before
    assert 'The training was not validated.' in page.text
    assert page.text.count('Nothing was logged') == 2
