"""A copy whose weights are averaged over time."""

import copy

import pytest
import torch
from common import batch, build, make_model, okdhp_model, run, shake, stock_model
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import load_state_dict
from runs import runner_of

from okdhp_mm.engine import EMAUpdateHook
from okdhp_mm.errors import UserError
from okdhp_mm.models.state_names import student_name
from okdhp_mm.models.teachers import EMA
from okdhp_mm.models.teachers.ema import tensor_pairs
from okdhp_mm.recipes.methods import apply_method

MOMENTUM = 0.8


def pcl(**test_cfg):
    config = okdhp_model('resnet', test_cfg=test_cfg)
    apply_method(config, 'pcl')
    config.ema = dict(momentum=MOMENTUM)
    return config


def test_it_is_the_moving_average_of_parameters_and_buffers():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    average = EMA(model, MOMENTUM)
    expected = None
    for step in range(5):
        shake(model)
        with torch.no_grad():
            for value in model.state_dict().values():
                value.mul_(step + 1)
        average.update(model)
        share = max(MOMENTUM, 10 / (step + 10))  # the first update copies
        state = {name: value.clone() for name, value in model.state_dict().items()}
        expected = expected or state
        for name, value in state.items():
            if value.is_floating_point():
                expected[name] = expected[name] + share * (value - expected[name])
        for name, value in average.module.state_dict().items():
            torch.testing.assert_close(value, expected[name], msg=name)
    assert average.steps == 5


def test_its_tensors_are_those_of_the_state_dict_paired_by_name():
    model = build(pcl())
    model.register_buffer('constant', torch.tensor(torch.inf), persistent=False)
    model.backbone.trunk.register_module('added', torch.nn.BatchNorm2d(2))
    children = model.backbone.trunk._modules
    children['conv1'] = children.pop('conv1')  # the order of the copy is another
    names = {id(tensor): name for name, tensor in model.state_dict(keep_vars=True).items()}
    copied = {id(t): name for name, t in model.ema.module.state_dict(keep_vars=True).items()}
    pairs = [(copied[id(a)], names[id(b)]) for a, b in tensor_pairs(model.ema.module, model)]
    assert [name for name, _ in pairs] == list(copied.values())
    assert all(ours == theirs for ours, theirs in pairs)


def test_counters_are_copied_and_what_no_checkpoint_holds_is_not_touched():
    model = torch.nn.BatchNorm2d(4, affine=False)
    model.register_buffer('mask', torch.tensor([True, False]))
    model.register_buffer('limit', torch.tensor(torch.inf), persistent=False)
    average = EMA(model, MOMENTUM)
    for count in (3, 8):
        model.num_batches_tracked.fill_(count)
        model.mask.logical_not_()
        average.update(model)
        assert average.module.num_batches_tracked == count
        assert torch.equal(average.module.mask, model.mask)
    assert average.module.limit == torch.inf


def test_it_neither_learns_nor_leaves_evaluation():
    model = build(pcl()).train()
    assert model.training
    assert not any(part.training for part in model.ema.module.modules())
    assert not any(parameter.requires_grad for parameter in model.ema.parameters())


def test_its_heatmaps_of_the_plain_images_teach_the_others():
    model = build(pcl()).train()
    model.init_weights()
    model.ema.start(model)
    data = batch(2)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    averaged = model._ema_heatmaps(inputs)
    assert averaged.shape == (3, 2, 17, 16, 16)
    assert not averaged.requires_grad
    copied = model.ema.module
    for m, maps in enumerate(averaged):
        expected = copied.head.forward(copied.backbone(inputs, [m]), m)
        assert torch.equal(maps, expected)


def test_its_feature_maps_do_not_outlive_the_step():
    model = build(pcl()).train()
    run(model, 'loss')
    copy.deepcopy(model)  # torch refuses tensors of a graph
    for module in model.modules():
        assert not any(isinstance(value, torch.Tensor) for value in vars(module).values())


def test_a_forward_pass_and_an_evaluation_never_update_it():
    model = build(pcl()).train()
    model.init_weights()
    assert model.ema.steps == 0
    for _ in range(3):
        run(model, 'loss')
        assert model.ema.steps == 1, 'the copy at the start'
    run(model.eval(), 'predict')
    assert model.ema.steps == 1


class Watch(Hook):
    """Counts the updates after every step, and keeps a tensor of the copy."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.found, self.steps = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = runner.model
        self.steps.append(int(model.ema.steps))
        self.found.append(model.ema.module.head.branches[0].final_layer.bias.clone())


def trained_by(tmp_path, **changes):
    """A training of six steps by the plain runner, and what was seen of it."""
    watch = Watch()
    hooks = changes.pop('custom_hooks', [])
    runner = runner_of(tmp_path, pcl(), custom_hooks=[*hooks, watch], **changes)
    runner.train()
    return runner, watch


def test_every_optimizer_step_updates_it_once(tmp_path):
    runner, watch = trained_by(tmp_path)
    assert watch.steps == [2, 3, 4, 5, 6, 7], 'the copy at the start, and six steps'
    assert any(isinstance(hook, EMAUpdateHook) for hook in runner.hooks)
    wrapper = dict(optimizer=dict(type='SGD', lr=0.01), accumulative_counts=2)
    _, watch = trained_by(tmp_path / 'accumulated', optim_wrapper=wrapper)
    assert watch.steps == [1, 2, 2, 3, 3, 4]
    assert torch.equal(watch.found[1], watch.found[2])


def test_a_training_without_the_hook_is_refused_and_one_with_it_alone_is_not(tmp_path):
    with pytest.raises(UserError, match='nothing updates this copy of the model. Add custom_hooks'):
        trained_by(tmp_path, default_hooks=dict())
    own = [dict(type='EMAUpdateHook')]
    _, watch = trained_by(tmp_path / 'own', default_hooks=dict(), custom_hooks=own)
    assert watch.steps == [2, 3, 4, 5, 6, 7]
    _, watch = trained_by(tmp_path / 'both', custom_hooks=own)
    assert watch.steps == [2, 3, 4, 5, 6, 7], 'updated once, although both hooks are there'


def test_it_predicts_where_it_is_what_is_deployed():
    deployed, plain = build(pcl(branch=1)), build(pcl(branch=1))
    plain.test_cfg.ema = False
    for model in (deployed, plain):
        shake(model).eval()
        with torch.no_grad():
            for parameter in model.ema.module.head.parameters():
                parameter.mul_(-1)
    images = torch.randn(2, 3, 64, 64)
    expected = deployed.ema.module.head.forward(deployed.ema.module.backbone(images), 1)
    assert torch.equal(deployed(images, None, mode='tensor'), expected)
    assert not torch.equal(plain(images, None, mode='tensor'), expected)
    found, other = (run(model, 'predict')[0].pred_instances for model in (deployed, plain))
    assert (found.keypoints != other.keypoints).any()


@pytest.mark.parametrize('load', [load_state_dict, torch.nn.Module.load_state_dict])
def test_it_begins_anew_with_a_stock_checkpoint(load):
    model = build(pcl()).train()
    run(model, 'loss')
    load(model, shake(build(stock_model('resnet'))).state_dict(), strict=False)
    live, copied = model.state_dict(), model.ema.module.state_dict()
    students = [name for name in copied if student_name(name)]
    assert all(torch.equal(copied[name], live[name]) for name in students)
    assert model.ema.steps == 0
    shake(model.head.aggregator)
    model.ema.update(model)
    live = model.state_dict()
    for name, value in copied.items():
        torch.testing.assert_close(value, live[name], msg=name)


def test_its_own_checkpoint_leaves_it_as_it_was_saved():
    model, other = build(pcl()).train(), build(pcl())
    model.init_weights()
    for _ in range(2):
        model.ema.update(model)
        shake(model.backbone)
    other.load_state_dict(model.state_dict())
    assert other.ema.steps == 2
    saved = model.ema.module.state_dict()
    for name, value in other.ema.module.state_dict().items():
        assert torch.equal(value, saved[name])


def test_without_averages_nothing_that_needs_them_is_built():
    with pytest.raises(UserError, match='loss_peers: MutualTerm requires an EMA copy of the model'):
        config = pcl()
        config.ema = None
        config.test_cfg.ema = False
        build(config)
    with pytest.raises(UserError, match='the model keeps no EMA copy'):
        make_model(test_cfg=dict(ema=True))


@pytest.mark.parametrize('momentum', [0, 1, -0.1])
def test_a_momentum_that_is_no_share_is_refused(momentum):
    with pytest.raises(UserError, match=f'momentum={momentum} must be a share'):
        make_model(ema=dict(momentum=momentum))
