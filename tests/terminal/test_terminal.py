"""A training shows what a user watches, and its complete log goes to the file."""

import io
import os
import sys
import threading

import pytest
from common import stock_model
from mmengine.config import Config
from mmengine.hooks import Hook
from rich.console import Console
from runs import CtrlC, runner_of
from xtcocotools import coco

from okdhp_mm.env.noise import silent_coco
from okdhp_mm.errors import UserError
from okdhp_mm.recipes.schedule import stop_early
from okdhp_mm.terminal import TerminalRunner, train_to_end
from okdhp_mm.terminal.hook import TerminalHook

OVERVIEW = ['data', 'student', 'method', 'steps', 'device', 'files']


class At(Hook):
    """Calls a function in one step of the training."""

    def __init__(self, step, call):
        self.step, self.call = step, call

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            self.call(runner)


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', 'my config.py'])


def printed(capsys):
    """Return the printed lines from the overview on."""
    lines = capsys.readouterr().out.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith('data ')) :]


def warn(runner):
    runner.logger.warning('Look at the weights.')
    runner.logger.warning('This will be deprecated in future.')


def test_elsewhere_than_on_a_terminal_an_epoch_is_one_line(tmp_path, capsys, command):
    runner = runner_of(tmp_path / 'run', kind=TerminalRunner)
    runner.register_hook(At(1, warn))
    train_to_end(runner)
    lines = printed(capsys)
    assert [line.split()[0] for line in lines[:6]] == OVERVIEW
    assert '6 persons to train on, 4 persons to validate on' in lines[0]
    assert '6 = 2 epochs x 3 iterations, batch size 2' in lines[3]
    assert lines[6] == 'warning: Look at the weights.'
    figures = {
        name: runner.message_hub.get_scalar(f'val/{key}').data[0]
        for name, key in (('branch0', 'PCK'), ('ensemble', 'ensemble/PCK'))
    }
    for epoch, line in enumerate(lines[7:9]):
        assert line.startswith(f'epoch {epoch + 1}/2  loss ')
        assert f'PCK branch0 {figures["branch0"][epoch]:.4f} (best ' in line
        assert line.endswith(f'ensemble {figures["ensemble"][epoch]:.4f}')
    assert lines[10].split() == ['PCK', 'last', 'best'], 'the table of all branches follows'
    best, export, infer = lines[-3:]
    checkpoint = runner.message_hub.get_info('best_ckpt')
    assert best == f'best checkpoint: {checkpoint}'
    config = tmp_path / 'run' / f'{runner.timestamp}.py'
    assert config.exists()
    assert export == f'export: python -m okdhp_mm export {config} {checkpoint} ' + str(
        tmp_path / 'run' / 'student'
    )
    assert infer.startswith('run:    python -m okdhp_mm infer PICTURES --student ')
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    for text in ('Hooks will be executed', 'Epoch(train) [2][3/3]', 'Epoch(val) [2]', 'deprecated'):
        assert text in log


def test_on_a_terminal_an_epoch_is_a_bar_and_a_validation_a_table(tmp_path, monkeypatch):
    reader, writer = os.openpty()
    shown = []

    def read():
        while part := os.read(reader, 4096):
            shown.append(part)
            if b'the end' in part:
                return

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, 'w') as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, 'stdout', terminal)
        patch.setenv('TERM', 'xterm')
        patch.setenv('COLUMNS', '100')
        runner = runner_of(tmp_path / 'run', kind=TerminalRunner)
        runner.register_hook(At(1, warn))
        runner.train()
        print('the end', flush=True)
        thread.join()
    os.close(reader)
    text = b''.join(shown).decode()
    for part in ('epoch 1/2', 'epoch 2/2', '3/3', 'loss', 'ETA 0:00:00', 'Look at the weights'):
        assert part in text
    assert text.count('best so far') == text.count('branch0 (deployed)') == 2
    assert 'mmengine - INFO' not in text and 'deprecated' not in text
    assert text.rstrip().endswith('the end') and text.count('\x1b[?25h') == text.count('\x1b[?25l')


def test_iterations_between_validations_are_a_round_also_without_validation(tmp_path, capsys):
    settings = dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=3, val_interval=2))
    settings |= dict(val_dataloader=None, val_cfg=None, val_evaluator=None)
    hooks = dict(distill=dict(type='DistillProgressHook'), checkpoint=None)
    runner = runner_of(
        tmp_path / 'run', kind=TerminalRunner, default_hooks=hooks, custom_hooks=[], **settings
    )
    train_to_end(runner)
    lines = printed(capsys)
    assert 'no validation' in lines[0]
    assert [line.split('  ')[0] for line in lines[6:8]] == ['iteration 2/3', 'iteration 3/3']
    assert lines[8:] == ['', 'No checkpoint was written: the config has no CheckpointHook.']


def test_ctrl_c_names_the_last_checkpoint_and_the_command_that_resumes(tmp_path, command):
    hooks = dict(
        distill=dict(type='DistillProgressHook'),
        checkpoint=dict(type='CheckpointHook', interval=1),
    )
    runner = runner_of(tmp_path / 'run', kind=TerminalRunner, default_hooks=hooks)
    runner.register_hook(CtrlC(4))
    with pytest.raises(KeyboardInterrupt) as caught:
        train_to_end(runner)
    sentence, resume = str(caught.value).splitlines()
    assert sentence.startswith('Interrupted after 4 of 6 steps. The last good checkpoint is ')
    assert f'{tmp_path}/run/epoch_1.pth, 1 step earlier.' in sentence
    assert resume == "python -m okdhp_mm train 'my config.py' --resume"


def test_the_overview_precedes_a_validation_that_a_resumed_training_starts_with(trained):
    console = Console(file=io.StringIO(), width=200)
    hook = TerminalHook(console)
    hook.before_val_epoch(trained)
    hook.before_train(trained)
    assert [line.split()[0] for line in console.file.getvalue().splitlines()] == OVERVIEW


def test_a_training_without_gain_stops_early_also_of_a_student_alone(tmp_path, capsys):
    checkpoint = dict(type='CheckpointHook', save_best='PCK', rule='greater')
    cfg = Config(dict(val_dataloader=dict(batch_size=2), default_hooks=dict(checkpoint=checkpoint)))
    stop_early(cfg, 1)
    runner = runner_of(
        tmp_path / 'run',
        stock_model(),
        TerminalRunner,
        train_cfg=dict(by_epoch=True, max_epochs=9, val_interval=1),
        val_evaluator=dict(type='PCKAccuracy'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=cfg.custom_hooks,
    )
    train_to_end(runner)
    lines = printed(capsys)
    assert 'the student alone' in lines[2]
    assert ' PCK 0.' in lines[6] and '(best 0.' in lines[6]
    stopped, best, export, infer = lines[-4:]
    assert stopped.startswith(f'Stopped early, after {runner.iter} of 27 steps')
    assert best.startswith('best checkpoint') and export.startswith('export') and 'infer' in infer
    assert runner.iter < 27


@pytest.mark.parametrize('change', [dict(val_dataloader=None), dict(default_hooks=dict())])
def test_early_stopping_needs_a_validation_and_the_name_of_a_metric(change):
    cfg = Config(dict(val_dataloader=dict(batch_size=2), default_hooks=dict()) | change)
    with pytest.raises(UserError, match='--patience requires'):
        stop_early(cfg, 3)


def test_the_coco_tools_are_silent_only_meanwhile(capsys):
    def print_index():
        tool = coco.COCO()
        tool.dataset = dict(annotations=[], images=[], categories=[])
        tool.createIndex()
        return capsys.readouterr().out

    with silent_coco():
        with silent_coco():
            assert print_index() == ''
        assert print_index() == ''
    assert 'index created' in print_index()
