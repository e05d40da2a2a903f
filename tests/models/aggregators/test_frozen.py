"""A trained network in the place of the ensemble."""

import pytest
import torch
from common import batch, build, head, make_model, okdhp_model, run, shake, stock_model
from mmengine.config import Config

from okdhp_mm.errors import UserError
from okdhp_mm.structures import ENSEMBLE

TERMS = dict(
    loss_kpt=dict(type='Supervise', of='branches'),
    loss_kd=dict(type='Teach', loss=dict(type='KLHeatmapLoss')),
)
DISTILLER = dict(type='Distiller', terms=TERMS)


def save(folder, model_cfg):
    """A teacher on disk, with weights of its own."""
    model = shake(build(model_cfg)).eval()
    config, checkpoint = str(folder / 'teacher.py'), str(folder / 'teacher.pth')
    Config(dict(model=model_cfg)).dump(config)
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return model, dict(type='FrozenTeacher', config=config, checkpoint=checkpoint)


@pytest.fixture
def teacher(tmp_path):
    return save(tmp_path, stock_model('resnet'))


def student(aggregator, **changes):
    return make_model(branches=1, aggregator=aggregator, distiller=DISTILLER, **changes)


def test_its_heatmaps_are_the_ensemble(teacher):
    network, aggregator = teacher
    model = student(aggregator).eval()
    images = torch.randn(2, 3, 64, 64)
    outputs = model.head.outputs(model.backbone(images))
    assert torch.equal(outputs.ensemble, network(images, None, mode='tensor'))
    assert not outputs.ensemble.requires_grad


def test_it_is_trained_by_nothing_and_saved_nowhere(teacher):
    network, aggregator = teacher
    model = student(aggregator)
    model.init_weights()
    model.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    total, _ = model.parse_losses(run(model, 'loss'))
    total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not any(name.startswith('head.aggregator') for name in model.state_dict())
    frozen = model.head.aggregator._teacher[0]
    assert not frozen.training
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_follows_the_model_to_another_type(teacher):
    model = student(teacher[1]).double()
    assert model.head.aggregator._teacher[0].backbone.conv1.weight.dtype == torch.float64


def test_the_ensemble_of_a_multi_branch_training_can_teach(tmp_path):
    network, aggregator = save(tmp_path, okdhp_model())
    images = torch.randn(2, 3, 64, 64)
    taught = network.head.outputs(network.backbone(images))
    for output, expected in ((ENSEMBLE, taught.ensemble), (1, taught.finals[1])):
        model = student(aggregator | dict(output=output)).eval()
        assert torch.equal(model.head.outputs(model.backbone(images)).ensemble, expected)


def test_a_frozen_backbone_leaves_only_the_head_to_learn(tmp_path):
    _, aggregator = save(tmp_path, okdhp_model())
    model = student(aggregator | dict(output=ENSEMBLE), freeze_backbone=True).train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    total, _ = model.parse_losses(run(model, 'loss', batch()))
    total.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith('head.')}
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_teacher_has_to_be_named():
    with pytest.raises(UserError, match='config=None and checkpoint=None must both name files'):
        student(dict(type='FrozenTeacher'))


@pytest.mark.parametrize('missing', ['config', 'checkpoint'])
def test_a_teacher_that_is_not_there_is_told(teacher, missing):
    with pytest.raises(UserError, match=f'{missing} nowhere.py does not exist'):
        student(teacher[1] | {missing: 'nowhere.py'})


def test_another_networks_checkpoint_is_refused(tmp_path, teacher):
    other = tmp_path / 'other'
    other.mkdir()
    checkpoint = save(other, stock_model('hrnet'))[1]['checkpoint']
    with pytest.raises(UserError, match=r'other/teacher\.pth is no checkpoint of .*teacher\.py'):
        student(teacher[1] | dict(checkpoint=checkpoint))


def test_a_stock_teacher_has_no_output_to_choose(teacher):
    with pytest.raises(UserError, match="output='ensemble' chooses one of several branches"):
        student(teacher[1] | dict(output=ENSEMBLE))


def test_a_teacher_of_other_keypoints_is_refused(tmp_path):
    _, aggregator = save(tmp_path, stock_model('resnet', head=head(64, out_channels=5)))
    with pytest.raises(UserError, match=r'FrozenTeacher makes heatmaps of shape \(5, 16, 16\)'):
        student(aggregator)
