"""A copy whose weights are averaged over time."""

import copy

import pytest
import torch
from common import batch, build, make_model, okdhp_model, run, shake, stock_model
from mmengine.runner.checkpoint import load_state_dict

from okdhp_mm.errors import UserError
from okdhp_mm.methods import apply_method
from okdhp_mm.models.averaged import AveragedCopy, tensors
from okdhp_mm.models.student import student_name

MOMENTUM = 0.8


def pcl(**test_cfg):
    config = okdhp_model('resnet', test_cfg=test_cfg)
    apply_method(config, 'pcl')
    config.averaged = dict(momentum=MOMENTUM)
    return config


def test_it_is_the_moving_average_of_parameters_and_buffers():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    average = AveragedCopy(model, MOMENTUM)
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


def test_its_tensors_are_those_of_the_state_dict_in_the_models_order():
    model = build(pcl())
    model.register_buffer('constant', torch.tensor(torch.inf), persistent=False)
    names = {id(tensor): name for name, tensor in model.state_dict(keep_vars=True).items()}
    ours = [names[id(tensor)] for tensor in tensors(model)]
    copied = list(model.averaged.module.state_dict())
    assert ours == list(names.values())
    assert ours[: len(copied)] == copied


def test_counters_are_copied_and_what_no_checkpoint_holds_is_not_touched():
    model = torch.nn.BatchNorm2d(4, affine=False)
    model.register_buffer('mask', torch.tensor([True, False]))
    model.register_buffer('limit', torch.tensor(torch.inf), persistent=False)
    average = AveragedCopy(model, MOMENTUM)
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
    assert not any(part.training for part in model.averaged.module.modules())
    assert not any(parameter.requires_grad for parameter in model.averaged.parameters())


def test_its_heatmaps_of_the_plain_images_teach_the_others():
    model = build(pcl()).train()
    model.init_weights()
    data = batch(2)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    averaged = model._averaged_finals(inputs)
    assert averaged.shape == (3, 2, 17, 16, 16)
    assert not averaged.requires_grad
    copied = model.averaged.module
    for m, maps in enumerate(averaged):
        expected = copied.head.forward(copied.backbone(inputs, [m]), m)
        assert torch.equal(maps, expected)


def test_its_feature_maps_do_not_outlive_the_step():
    model = build(pcl()).train()
    run(model, 'loss')
    copy.deepcopy(model)  # torch refuses tensors of a graph
    for module in model.modules():
        assert not any(isinstance(value, torch.Tensor) for value in vars(module).values())


def test_a_step_updates_it_once_and_an_evaluation_never():
    model = build(pcl()).train()
    model.init_weights()
    assert model.averaged.steps == 0
    run(model, 'loss')
    assert model.averaged.steps == 1
    run(model.eval(), 'predict')
    assert model.averaged.steps == 1


def test_it_predicts_where_it_is_what_is_deployed():
    deployed, plain = build(pcl(branch=1)), build(pcl(branch=1))
    plain.test_cfg.averaged = False
    for model in (deployed, plain):
        shake(model).eval()
        with torch.no_grad():
            for parameter in model.averaged.module.head.parameters():
                parameter.mul_(-1)
    images = torch.randn(2, 3, 64, 64)
    expected = deployed.averaged.module.head.forward(deployed.averaged.module.backbone(images), 1)
    assert torch.equal(deployed(images, None, mode='tensor'), expected)
    assert not torch.equal(plain(images, None, mode='tensor'), expected)
    found, other = (run(model, 'predict')[0].pred_instances for model in (deployed, plain))
    assert (found.keypoints != other.keypoints).any()


@pytest.mark.parametrize('load', [load_state_dict, torch.nn.Module.load_state_dict])
def test_it_begins_anew_with_a_stock_checkpoint(load):
    model = build(pcl()).train()
    run(model, 'loss')
    load(model, shake(build(stock_model('resnet'))).state_dict(), strict=False)
    live, copied = model.state_dict(), model.averaged.module.state_dict()
    students = [name for name in copied if student_name(name)]
    assert all(torch.equal(copied[name], live[name]) for name in students)
    assert model.averaged.steps == 0
    shake(model.head.aggregator)
    model.averaged.update(model)
    live = model.state_dict()
    for name, value in copied.items():
        torch.testing.assert_close(value, live[name], msg=name)


def test_its_own_checkpoint_leaves_it_as_it_was_saved():
    model, other = build(pcl()).train(), build(pcl())
    model.init_weights()
    for _ in range(2):
        run(model, 'loss')
        shake(model.backbone)
    other.load_state_dict(model.state_dict())
    assert other.averaged.steps == 2
    saved = model.averaged.module.state_dict()
    for name, value in other.averaged.module.state_dict().items():
        assert torch.equal(value, saved[name])


def test_without_averages_nothing_that_needs_them_is_built():
    with pytest.raises(UserError, match='loss_peers: Mutual needs branches with averaged weights'):
        config = pcl()
        config.averaged = None
        config.test_cfg.averaged = False
        build(config)
    with pytest.raises(UserError, match='the model keeps no averaged copy'):
        make_model(test_cfg=dict(averaged=True))


@pytest.mark.parametrize('momentum', [0, 1, -0.1])
def test_a_momentum_that_is_no_share_is_refused(momentum):
    with pytest.raises(UserError, match=f'momentum={momentum} must be a share'):
        make_model(averaged=dict(momentum=momentum))
