"""The command line, end to end: train, test and export; a killed training goes on."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from common import build, python
from mmengine.config import Config

from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student.config import student_config

ROOT = Path(__file__).parents[1]

CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['okdhp_mm', 'witness'], allow_failed_imports=False)
data_root = {data!r}
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(metric=dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json'))
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
custom_hooks = {hooks!r}
"""

WITNESS = """
import json, os, signal
import torch
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

@HOOKS.register_module()
class Witness(Hook):
    priority = 'LOWEST'

    def before_train(self, runner):
        state = dict(
            iter=runner.iter,
            model=runner.model.state_dict(),
            optimizer=runner.optim_wrapper.state_dict(),
        )
        torch.save(state, os.path.join(runner.work_dir, f'start_{runner.iter}.pth'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        line = dict(iter=runner.iter, progress=float(runner.model.head.distiller.progress))
        with open(os.path.join(runner.work_dir, 'steps.jsonl'), 'a') as file:
            file.write(json.dumps(line) + '\\n')
        if os.environ.get('KILL_AT') == str(runner.iter + 1):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def tool(name, *arguments, cwd, **environment):
    path = os.pathsep.join([str(ROOT), str(cwd)])
    return subprocess.run(
        python(ROOT / 'tools' / f'{name}.py', *arguments),
        env=os.environ | dict(PYTHONPATH=path) | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def succeed(*arguments, **options):
    result = tool(*arguments, **options)
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
    return result.stdout + result.stderr


def one_sentence(result):
    """Return what a tool said when it refused: one line, without a traceback."""
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('error: '), result.stderr[-1500:]
    assert 'Traceback' not in result.stderr
    return last


def scalars(folder):
    """Return the log of a run, in order."""
    (file,) = folder.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope='module')
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp('workplace')
    write_coco(folder / 'data', 'train', 12, seed=0)
    write_coco(folder / 'data', 'val', 4, seed=0)
    (folder / 'witness.py').write_text(WITNESS)
    base, data = str(ROOT / 'configs' / 'okdhp' / 'demo.py'), f'{folder / "data"}/'
    for name, hooks in (
        ('plain', [dict(type='Witness')]),
        ('averaged', [dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.5)]),
    ):
        text = CONFIG.format(base=base, data=data, hooks=hooks)
        (folder / f'{name}.py').write_text(text)
    return folder


@pytest.fixture(scope='module')
def averaged(workplace):
    """A training of two epochs with averaged weights: its folder and what it printed."""
    log = succeed('train', 'averaged.py', '--work-dir', 'averaged', cwd=workplace)
    return workplace / 'averaged', log


def test_a_training_logs_each_loss_and_the_figures_of_every_output(averaged):
    folder, _ = averaged
    lines = scalars(folder)
    training = [line for line in lines if 'loss_kpt' in line]
    assert len(training) == 6
    for line in training:
        total = line['loss_kpt'] + line['loss_ens'] + line['loss_kd']
        assert line['loss'] == pytest.approx(total, rel=1e-4)
    validation = [line for line in lines if 'coco/AP' in line]
    assert len(validation) == 2
    assert {'branch1/coco/AP', 'branch2/coco/AP', 'ensemble/coco/AP'} <= validation[0].keys()
    assert list(folder.glob('best_coco_AP_epoch_*.pth')), 'save_best works as usual'


def test_a_training_ends_with_a_table_of_every_output(averaged):
    folder, log = averaged
    last = [line for line in scalars(folder) if 'coco/AP' in line][-1]
    table = log[log.index('\ncoco/AP     last') :].splitlines()
    for row, (name, key) in zip(
        table[2:6],
        {
            'branch0': 'coco/AP',
            'branch1': 'branch1/coco/AP',
            'branch2': 'branch2/coco/AP',
            'ensemble': 'ensemble/coco/AP',
        }.items(),
        strict=True,
    ):
        assert row.split()[:2] == [name, f'{last[key]:.4f}']


def test_testing_a_checkpoint_gives_the_figures_of_the_last_validation(averaged, workplace):
    folder, _ = averaged
    out, dump = workplace / 'metrics.json', workplace / 'predictions.pkl'
    succeed(
        'test', 'averaged.py', folder / 'epoch_2.pth', '--work-dir', 'tested',
        '--out', out, '--dump', dump, '--show-dir', 'pictures', '--interval', '2', cwd=workplace,
    )  # fmt: skip
    metrics = json.loads(out.read_text())
    lines = scalars(folder)
    last = [line for line in lines if 'coco/AP' in line][-1]
    for name in ('coco/AP', 'branch1/coco/AP', 'ensemble/coco/AR'):
        assert metrics[name] == pytest.approx(last[name], abs=1e-6)
    assert dump.stat().st_size > 0
    assert list((workplace / 'tested').rglob('*.png')) + list((workplace / 'tested').rglob('*.jpg'))


def test_a_run_with_a_frozen_teacher_is_tested_without_it(workplace):
    (workplace / 'taught.py').write_text("_base_ = './plain.py'\ncustom_hooks = []\n")
    cfg = Config.fromfile(workplace / 'taught.py', import_custom_modules=False)
    cfg.model.branches = 1
    apply_method(cfg.model, 'fpd')
    cfg.model.teacher.update(config='nowhere.py', checkpoint='nowhere.pth')
    (workplace / 'taught').mkdir()
    cfg.dump(workplace / 'taught' / 'taught.py')
    state = build(cfg.model).state_dict()
    torch.save(dict(state_dict=state, meta={}), workplace / 'taught' / 'last.pth')
    printed = succeed('test', 'taught/taught.py', 'taught/last.pth', '--out', 'taught.json',
                      '--work-dir', 'taught', cwd=workplace)  # fmt: skip
    figures = json.loads((workplace / 'taught.json').read_text())
    assert 'coco/AP' in figures
    assert not any('/coco' in name for name in figures), 'a single output has the stock names'
    assert 'needs every branch' not in printed
    # mmengine writes the config into the work directory, where the training's own is.
    again = Config.fromfile(workplace / 'taught' / 'taught.py', import_custom_modules=False)
    assert again.model.teacher == cfg.model.teacher


def test_the_student_of_an_averaged_run_has_the_averaged_weights_and_says_its_cost(
    averaged, workplace
):
    folder, _ = averaged
    printed = succeed(
        'export_student', 'averaged.py', folder / 'epoch_2.pth', 'student', '--branch', '1',
        cwd=workplace,
    )  # fmt: skip
    costs = [line.split(': ', 1)[1].strip() for line in printed.splitlines() if 'GFLOPs' in line]
    assert len(costs) == 2
    assert costs[0] == costs[1]
    student = torch.load(workplace / 'student' / 'student.pth', weights_only=True)['state_dict']
    # EMAHook saves the averaged weights as the state dict, the others next to them.
    saved = torch.load(folder / 'epoch_2.pth', weights_only=False)
    name = 'head.branches.1.final_layer.weight'
    assert torch.equal(student['head.final_layer.weight'], saved['state_dict'][name])
    assert not torch.equal(
        student['head.final_layer.weight'], saved['ema_state_dict'][f'module.{name}']
    )
    config = Config.fromfile(workplace / 'student' / 'student.py', import_custom_modules=False)
    assert [hook.type for hook in config.custom_hooks] == ['EMAHook']
    again = tool('export_student', 'averaged.py', folder / 'epoch_2.pth', 'student', cwd=workplace)
    assert '--force overwrites' in one_sentence(again)


def test_a_graph_of_an_earlier_student_does_not_outlive_it(averaged, workplace):
    folder, _ = averaged
    graphs = [workplace / 'anew' / name for name in ('student.onnx', 'student_int8.onnx')]
    export = ('export_student', 'averaged.py', folder / 'epoch_2.pth', 'anew')
    succeed(*export, cwd=workplace)
    for graph in graphs:
        graph.touch()
    refused = tool(*export, cwd=workplace)
    assert '--force overwrites' in one_sentence(refused)
    assert all(graph.exists() for graph in graphs), 'the student is still theirs'
    printed = succeed(*export, '--force', cwd=workplace)
    for graph in graphs:
        assert not graph.exists()
        assert f'anew/{graph.name} was of an earlier export and is removed.' in printed


def test_the_student_is_tested_by_the_same_tool_with_its_branchs_figures(averaged, workplace):
    folder, _ = averaged
    succeed('export_student', 'averaged.py', folder / 'epoch_2.pth', 'second', '--branch', '2',
            cwd=workplace)  # fmt: skip
    succeed('test', 'second/student.py', 'second/student.pth', '--out', 'second.json',
            '--work-dir', 'tested_student', cwd=workplace)  # fmt: skip
    metrics = json.loads((workplace / 'second.json').read_text())
    lines = scalars(folder)
    last = [line for line in lines if 'coco/AP' in line][-1]
    assert set(metrics) == {name for name in last if name.startswith('coco/')}
    for name, value in metrics.items():
        assert value == pytest.approx(last[f'branch2/{name}'], abs=1e-6)


def test_a_stock_checkpoint_is_no_test_of_branches_that_were_never_trained(workplace):
    student = student_config(Config.fromfile(ROOT / 'configs' / 'okdhp' / 'demo.py'), 0)
    torch.save(dict(state_dict=build(student.model).state_dict()), workplace / 'stock.pth')
    for config in ('plain.py', 'averaged.py'):
        refused = tool('test', config, 'stock.pth', '--work-dir', 'untrained', cwd=workplace)
        assert 'stock.pth is not a checkpoint of an OKDHP training' in one_sentence(refused)


def test_a_config_without_test_data_is_told_what_to_add(averaged, workplace):
    (workplace / 'untested.py').write_text(
        "_base_ = './averaged.py'\ntest_dataloader = test_evaluator = test_cfg = None\n"
    )
    refused = tool('test', 'untested.py', averaged[0] / 'epoch_2.pth', cwd=workplace)
    assert 'Add test_dataloader=val_dataloader, test_evaluator=' in one_sentence(refused)


def test_a_killed_training_resumes_as_if_nothing_had_happened(workplace):
    train = ('train', 'plain.py', '--work-dir', 'killed', '--resume')
    killed = tool(*train, cwd=workplace, KILL_AT='5')
    assert killed.returncode == -signal.SIGKILL
    folder = workplace / 'killed'
    assert (folder / 'epoch_1.pth').is_file()
    assert not (folder / 'epoch_2.pth').exists()
    succeed(*train, cwd=workplace)
    # Three iterations an epoch: the two after the checkpoint are lost and done again.
    steps = [json.loads(line) for line in open(folder / 'steps.jsonl')]
    assert [step['iter'] for step in steps] == [0, 1, 2, 3, 4, 3, 4, 5]
    assert all(step['progress'] == pytest.approx(step['iter'] / 6) for step in steps)
    saved = torch.load(folder / 'epoch_1.pth', weights_only=False)
    start = torch.load(folder / 'start_3.pth', map_location='cpu', weights_only=False)
    assert start['iter'] == saved['meta']['iter'] == 3
    assert_equal(start['model'], saved['state_dict'])
    assert_equal(start['optimizer']['state'], saved['optimizer']['state'])
    assert torch.load(folder / 'epoch_2.pth', weights_only=False)['meta']['iter'] == 6


def assert_equal(ours, theirs):
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        assert ours
        for key, value in ours.items():
            assert_equal(value, theirs[key])
    else:
        assert ours == theirs


# ------------------------------------------------------------------------------- bad input


def test_missing_data_end_the_tools_in_one_sentence_before_anything_is_built(workplace):
    shift = 'train_dataloader.dataset.data_root=nowhere/'
    result = tool('train', 'plain.py', '--cfg-options', shift, cwd=workplace)
    sentence = one_sentence(result)
    assert 'nowhere/annotations/person_keypoints_train2017.json does not exist' in sentence
    assert 'train_dataloader.dataset.data_root' in sentence


def test_a_hostile_checkpoint_ends_the_test_in_one_sentence(workplace):
    torch.save(dict(state_dict={}, meta=Hostile()), workplace / 'hostile.pth')
    result = tool('test', 'plain.py', 'hostile.pth', '--work-dir', 'hostile', cwd=workplace)
    assert 'hostile.pth is refused' in one_sentence(result)
    assert not (workplace / 'it-was-run').exists()


class Hostile:
    """A pickle that leaves a file behind when it is loaded."""

    def __reduce__(self):
        return os.system, ('touch it-was-run',)


def test_a_pretrained_url_out_of_reach_ends_the_training_in_one_sentence(workplace):
    nowhere = 'http://127.0.0.1:9/weights.pth'
    (workplace / 'pretrained.py').write_text(
        "_base_ = './plain.py'\n"
        f"model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', "
        f"checkpoint='{nowhere}')))\n"
    )
    result = tool('train', 'pretrained.py', '--work-dir', 'unreachable', cwd=workplace)
    sentence = one_sentence(result)
    assert nowhere in sentence
    assert 'init_cfg.checkpoint' in sentence
    assert '--from-scratch' in sentence
