"""The tools in two processes on gloo give the weights and the metrics of one process."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from okdhp_mm.cli.runner import build_runner
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.engine.distributed import process_group
from okdhp_mm.errors import UserError
from okdhp_mm.io.config import read_config
from okdhp_mm.io.lock import lock_work_dir

ROOT = Path(__file__).parents[2]
HOOK = """
from mmengine.hooks import Hook
from mmpose.registry import HOOKS
from torch import nn

@HOOKS.register_module()
class FixedStatistics(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        for module in runner.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
"""
CONFIG = """
_base_ = {base!r}
data_root = {root!r}
custom_imports = dict(imports=['okdhp_mm', 'fixed_statistics'], allow_failed_imports=False)
custom_hooks = [dict(type='FixedStatistics')] if {fixed} else []
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=[
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=1.1),
        dict(type='TopdownAffine', input_size=(64, 96)),
        dict(type='GenerateTarget', encoder=_base_.codec),
        dict(type='PackPoseInputs'),
    ]),
)
val_dataloader = dict(batch_size=2, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(metric=dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json'))
test_evaluator = val_evaluator
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1.0))
param_scheduler = []
auto_scale_lr = dict(enable=False)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
"""
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason='the processes would use the GPU')


@pytest.fixture
def config_of(tmp_path):
    """Write a small training config, and return its path."""
    for split, size in (('train', 8), ('val', 5)):  # 5 samples do not divide by 2 processes
        write_coco(tmp_path / 'data', split, size, seed=0)
    (tmp_path / 'fixed_statistics.py').write_text(HOOK)

    def write(epochs=2, fixed=True):
        base = str(ROOT / 'configs' / 'okdhp' / 'demo.py')
        file = tmp_path / 'small.py'
        root = f'{tmp_path / "data"}/'
        file.write_text(CONFIG.format(base=base, root=root, epochs=epochs, fixed=fixed))
        return file

    return write


def start(folder, processes, tool, *arguments):
    """Start a tool in this folder, in one process or in several."""
    launch = [sys.executable]
    if processes > 1:
        launch += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
        # The name of a container may not resolve.
        launch += ['--local-addr=127.0.0.1']
        arguments = (*arguments, '--launcher', 'pytorch')
    paths = f'{folder}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    return subprocess.Popen(
        [*launch, str(ROOT / 'tools' / f'{tool}.py'), *map(str, arguments)],
        cwd=folder,
        env=os.environ | dict(PYTHONPATH=paths, OMP_NUM_THREADS='1'),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*arguments):
    """Run a tool, and return what it prints."""
    process = start(*arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def checkpoint_of(work_dir):
    return (work_dir / 'last_checkpoint').read_text()


def weights_of(work_dir):
    return torch.load(checkpoint_of(work_dir), weights_only=False)['state_dict']  # of this test


def largest_difference(weights, others):
    """Return the largest difference of a parameter; statistics are those of one process."""
    return max(
        float((values.double() - others[name].double()).abs().max())
        for name, values in weights.items()
        if not name.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
    )


class FirstWeights(Hook):
    """Keeps the weights that the training starts with."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 0:
            self.weights = copy.deepcopy(runner.model.state_dict())


@NO_GPU
def test_two_processes_have_the_weights_of_one(config_of, tmp_path, monkeypatch):
    config = config_of()
    work_dir = tmp_path / 'two'
    options = ('--cfg-options', 'train_dataloader.batch_size=2')
    run(tmp_path, 2, 'train', config, '--no-validate', '--work-dir', work_dir, *options)
    found = weights_of(work_dir)

    monkeypatch.syspath_prepend(tmp_path)
    cfg = read_config(config)
    cfg.work_dir = str(tmp_path / 'one')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    runner = build_runner(cfg, 'train')
    first = FirstWeights()
    runner.register_hook(first)
    model = runner.train()
    assert found.keys() == model.state_dict().keys()
    assert largest_difference(first.weights, found) > 1e-3, 'they learned'
    assert largest_difference(model.state_dict(), found) <= 1e-6


@NO_GPU
@pytest.mark.slow
def test_live_batch_norm_sees_the_samples_of_its_process(config_of, tmp_path):
    """Each process normalizes its own half: the same as a joint step over the two halves."""
    config = config_of(fixed=False)
    # Or the schedule of distillation would count the halves as steps.
    # With live statistics, the learning rate of the other tests lets the weights explode.
    same = ('model.distiller.terms.loss_kd.schedule=None', 'train_dataloader.batch_size=2',
            'train_dataloader.sampler.shuffle=False',
            'optim_wrapper.optimizer.lr=0.01')  # fmt: skip
    arguments = ('train', config, '--no-validate', '--cfg-options', *same)
    run(tmp_path, 2, *arguments, f'work_dir={tmp_path / "two"}')
    halves = (
        'train_dataloader.dataset.indices=[0,2,1,3,4,6,5,7]',
        'optim_wrapper.accumulative_counts=2',
    )
    run(tmp_path, 1, *arguments, *halves, f'work_dir={tmp_path / "halves"}')
    run(tmp_path, 1, *arguments, 'train_dataloader.batch_size=4', f'work_dir={tmp_path / "joint"}')
    two, halves, joint = (weights_of(tmp_path / name) for name in ('two', 'halves', 'joint'))
    assert largest_difference(two, halves) <= 1e-6
    assert 1e-4 < largest_difference(two, joint) < 1, 'which a joint batch does not give'


@NO_GPU
@pytest.mark.slow
def test_two_processes_report_the_metrics_of_one(config_of, tmp_path):
    config = config_of(epochs=1)
    run(tmp_path, 2, 'train', config, '--work-dir', tmp_path / 'trained')
    checkpoint = checkpoint_of(tmp_path / 'trained')
    found = []
    for processes in (1, 2):
        file = tmp_path / f'{processes}.json'
        output = run(tmp_path, processes, 'test', config, checkpoint, '--out', file)
        assert output.count('ensemble') >= 1
        found.append(json.loads(file.read_text()))
    assert found[0] == found[1]
    assert {'coco/AP', 'branch1/coco/AP', 'ensemble/coco/AP'} <= found[0].keys()


def worker(process, rank):
    """Return the process number of a rank that torchrun started."""
    for child in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split():
        if f'\0RANK={rank}\0'.encode() in Path(f'/proc/{child}/environ').read_bytes():
            return int(child)
    raise AssertionError(f'process {rank} does not run')


@NO_GPU
@pytest.mark.slow
@pytest.mark.parametrize('rank', [0, 1])
def test_the_others_end_when_one_process_is_killed(config_of, tmp_path, rank):
    config = config_of(epochs=1000)
    options = ('--cfg-options', 'default_hooks.logger.interval=1')
    process = start(
        tmp_path, 2, 'train', config, '--work-dir', tmp_path / 'run', '--verbose', *options
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'Epoch(train)' in line:
            break
    other = worker(process, 1 - rank)
    os.kill(worker(process, rank), signal.SIGKILL)
    killed = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - killed < 60
    assert process.returncode != 0
    assert f'error: Another process ended, so process {1 - rank} ends, too.' in output
    assert not Path(f'/proc/{other}').exists()


@NO_GPU
@pytest.mark.slow
def test_two_processes_respect_the_lock_of_the_work_directory(config_of, tmp_path):
    config = config_of()
    lock_work_dir(tmp_path / 'run')
    process = start(tmp_path, 2, 'train', config, '--work-dir', tmp_path / 'run')
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert output.count(f'error: Another training uses {tmp_path / "run"}') == 1


@NO_GPU
@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_other_launchers_need_a_gpu(launcher):
    with pytest.raises(UserError, match=f'--launcher {launcher} needs a CUDA GPU .* torchrun'):
        with process_group(Config(dict(launcher=launcher))):
            pass


def test_torchrun_must_have_started_the_processes(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(UserError, match='needs RANK.* which torchrun sets'):
        with process_group(Config(dict(launcher='pytorch'))):
            pass


def test_one_process_is_left_alone():
    cfg = Config(dict(launcher='none'))
    before = signal.getsignal(signal.SIGTERM)
    with process_group(cfg):
        assert signal.getsignal(signal.SIGTERM) == before
    assert cfg.to_dict() == dict(launcher='none')
