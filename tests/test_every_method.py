"""Properties of every method: resuming, autocast, two processes, and the stock student."""

import contextlib
import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from common import batch, build, okdhp_model, run, shake
from mmengine.config import Config
from mmengine.hooks import Hook
from runs import runner_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from okdhp_mm.models.estimator import OKDHP_TERMS
from okdhp_mm.recipes.methods import apply_method, method_files
from okdhp_mm.student.config import student_config
from okdhp_mm.student.state import check_equal, student_state

METHODS = tuple(method_files())
OFFLINE = ('fpd', 'head_only')
UNLABELED = ('mean_teacher', 'okdhp_unlabeled', 'pose_dual')
STILL = dict(
    rotation=0, scale=0, shift=0, flip=0, joints=0,
    photometric=dict(brightness=0, contrast=0, color=0, hide=0),
)  # fmt: skip
WORLD = 2


def write_teacher(folder):
    """Teacher of the offline methods, and its student, which a second stage starts from."""
    teacher = okdhp_model('resnet')
    Config(dict(model=teacher)).dump(folder / 'teacher.py')
    state = shake(build(teacher)).state_dict()
    torch.save(state, folder / 'teacher.pth')
    torch.save(dict(state_dict=student_state(state, 0), meta={}), folder / 'student.pth')


def data_of(config, size=2):
    """A batch; for a method that learns from unlabeled samples, as many of them follow."""
    if not config.get('unlabeled'):
        return batch(size)
    data = batch(2 * size)
    for sample in data['data_samples'][size:]:
        sample.set_metainfo(dict(unlabeled=True))
    return data


def model_of(method, folder):
    """A tiny student's training by a method; offline ones get their teacher, MCL-OKD its bank."""
    config = okdhp_model('resnet')
    apply_method(config, method)
    if method in OFFLINE:
        config.teacher.config = str(folder / 'teacher.py')
        config.teacher.checkpoint = str(folder / 'teacher.pth')
    if method == 'mcl':
        config.distiller.terms.loss_mcl.bank = 6
    return config


@pytest.fixture(params=METHODS)
def config(request, tmp_path):
    write_teacher(tmp_path)
    return model_of(request.param, tmp_path)


# ------------------------------------------------------------------------------------- resume


class Recorder(Hook):
    """Keeps the losses of every step; gives each step its own random numbers."""

    def __init__(self):
        self.losses = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(runner.iter)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter] = {k: v.item() for k, v in outputs.items() if 'loss' in k}


def losses_of_a_run(folder, config, **changes):
    recorder = Recorder()
    quiet = dict(
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        custom_hooks=[recorder],
        visualizer=None,
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-2)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1),
            distill=dict(type='DistillProgressHook'),
        ),
        randomness=dict(seed=1),
    )
    runner_of(folder, copy.deepcopy(config), **quiet | changes).train()
    return recorder.losses


def test_a_resumed_run_goes_on_with_the_losses_of_an_uninterrupted_one(config, tmp_path):
    start = str(tmp_path / 'student.pth') if config.get('freeze_backbone') else None
    whole = losses_of_a_run(tmp_path / 'whole', config, load_from=start)
    resumed = losses_of_a_run(
        tmp_path / 'resumed',
        config,
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        resume=True,
    )
    assert list(whole) == [0, 1, 2, 3, 4, 5]
    assert list(resumed) == [3, 4, 5]
    for step, losses in resumed.items():
        assert losses == pytest.approx(whole[step], rel=1e-4, abs=1e-9), f'step {step}'


# ----------------------------------------------------------------------------- the way it runs


def trainable(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_trains_every_parameter_to_about_the_same_loss(config, dtype):
    model = build(config)
    model.init_weights()
    model.head.distiller.set_progress(0.5)
    model.views = None  # random numbers of another type are other numbers
    shake(model.eval())
    data = data_of(config)
    torch.manual_seed(0)
    exact = run(model, 'loss', data)
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=dtype):
        losses = run(model, 'loss', data)
    for name, value in losses.items():
        if 'loss' in name:
            torch.testing.assert_close(value.float(), exact[name], rtol=0.15, atol=1e-3, msg=name)
    model.parse_losses(losses)[0].backward()
    for name, parameter in trainable(model).items():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


class OneDevice(TorchDispatchMode):
    """Refuses every operation that takes or makes a tensor on another device."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **kwargs or {})
        seen = [t for t in tree_leaves((args, kwargs, made)) if isinstance(t, torch.Tensor)]
        assert {t.device.type for t in seen} <= {self.device}, func
        return made


def test_a_step_neither_leaves_its_device_nor_waits_for_the_host(config, monkeypatch):
    """Tensors of the meta device have no values, so reading one fails.

    What a GPU would wait for, or fail at, is found without one.
    """
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: contextlib.nullcontext())  # has none
    config.train_cfg = dict(compute_acc=False)  # the host's, in numpy
    model = build(config).train()
    model.init_weights()
    if model.ema is not None:
        model.ema.start(model)
    model.head.distiller.set_progress(0.5)
    data = model.data_preprocessor(data_of(config), training=True)
    model.to('meta')
    samples = [sample.to('meta') for sample in data['data_samples']]
    inputs = data['inputs'].to('meta')
    with OneDevice('meta'):
        losses = model.loss(inputs, samples)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    for name, parameter in trainable(model).items():
        assert parameter.grad is not None, name


def test_the_student_is_stock_and_equals_its_branch_bit_for_bit(config):
    model = shake(build(config)).deployed
    state = student_state(model.state_dict(), 0)
    cfg = Config(dict(model=config, custom_imports=dict(imports=['okdhp_mm'])))
    student = build(student_config(cfg, 0).model)
    assert type(student).__name__ == 'TopdownPoseEstimator'
    student.load_state_dict(state, strict=True)
    check_equal(model, student, 0)


# ------------------------------------------------------------------------------ special cases


def losses_without(config, *terms, **changes):
    """Losses of a method with some of its parts taken away, on weights that tell branches apart."""
    for term in terms:
        config.distiller.terms.pop(term)
    config.update(changes)
    model = shake(build(config)).eval()
    model.head.distiller.set_progress(1.0)
    return {name: value for name, value in run(model, 'loss').items() if 'loss' in name}


@pytest.mark.parametrize(
    ('method', 'terms', 'changes'),
    [
        ('pcl', ['loss_ens', 'loss_kd', 'loss_peers'], dict(views=None)),
        ('ffl', ['loss_ens', 'loss_kd', 'loss_mean'], {}),
        ('okdhp', [], {}),
        ('mcl', ['loss_mcl', 'loss_kd'], {}),
        ('dml', ['loss_kd'], {}),
    ],
)
def test_without_its_own_parts_a_method_is_plain_training_of_branches(
    method, terms, changes, tmp_path
):
    plain = losses_without(model_of('branches', tmp_path))
    config = model_of(method, tmp_path)
    if method == 'okdhp':  # whose terms are the code's
        config.distiller = dict(type='Distiller', terms=dict(loss_kpt=OKDHP_TERMS['loss_kpt']))
    if method != 'mcl':
        changes = changes | dict(aggregator=dict(type='MeanAggregator'))
    assert losses_without(config, *terms, **changes) == plain


def test_one_with_equal_logits_is_the_mean_ensemble(tmp_path):
    one = build(model_of('one', tmp_path))
    shake(one).eval()
    for parameter in one.head.aggregator.score.parameters():
        torch.nn.init.zeros_(parameter)
    one.head.aggregator.norm.running_mean.zero_()
    one.head.aggregator.norm.bias.data.zero_()
    outputs = one.head.outputs(one.backbone(torch.randn(2, 3, 64, 64)))
    torch.testing.assert_close(outputs.ensemble, outputs.final_heatmaps.mean(0))


# -------------------------------------------------------------------------------- two processes


def gradients(model, wrapped, data):
    """One step's, with running statistics, so that samples are independent."""
    model.eval()
    losses = wrapped(**model.data_preprocessor(copy.deepcopy(data), training=True), mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name: parameter.grad.clone() for name, parameter in trainable(model).items()}


def worker(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=WORLD
    )
    found = {}
    for method in METHODS:
        model = ready(method, folder)
        # The default: a parameter that a step leaves out would make the next one hang or fail.
        wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=False)
        part = part_of(method, folder, slice(rank * 2, rank * 2 + 2))
        found[method] = gradients(model, wrapped, part)
        model.zero_grad()
        gradients(model, wrapped, part)
    if rank == 0:
        torch.save(found, folder / 'gradients.pt')


def ready(method, folder):
    """The same model in every process."""
    config = model_of(method, folder)
    if config.get('unlabeled'):
        config.unlabeled.views = STILL
    model = build(config)
    model.views = None  # each process draws its own
    model.head.distiller.set_progress(1.0)
    shake(model)
    model.load_teacher()
    if model.ema is not None:
        model.ema.start(model)
    return model


def part_of(method, folder, chosen):
    """Some labeled samples, and the same number of unlabeled ones if the method uses them."""
    both = torch.load(folder / 'data.pt', weights_only=False)  # written below
    kinds = both if method in UNLABELED else both[:1]
    return {key: [sample for kind in kinds for sample in kind[key][chosen]] for key in both[0]}


def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path):
    unlabeled = batch(4)
    for sample in unlabeled['data_samples']:
        sample.set_metainfo(dict(unlabeled=True))
    torch.save([batch(4), unlabeled], tmp_path / 'data.pt')
    write_teacher(tmp_path)
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(tmp_path)],
            env=os.environ | {'OMP_NUM_THREADS': '1'},
        )
        for rank in range(WORLD)
    ]
    assert [process.wait(timeout=400) for process in processes] == [0, 0]
    found = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    assert found.keys() == set(METHODS)
    for method in METHODS:
        if method == 'mcl':
            continue  # its negatives are those of a process's own batch
        model = ready(method, tmp_path)
        whole = part_of(method, tmp_path, slice(4))
        for name, expected in gradients(model, model, whole).items():
            torch.testing.assert_close(
                found[method][name], expected, rtol=1e-3, atol=1e-6, msg=f'{method}: {name}'
            )


if __name__ == '__main__':
    worker(int(sys.argv[1]), Path(sys.argv[2]))
