"""A trained network in the place of the ensemble."""

import copy
from pathlib import Path

import pytest
import torch
from common import batch, build, head, make_model, okdhp_model, run, shake, stock_model
from mmengine.config import Config

from okdhp_mm.errors import UserError
from okdhp_mm.models.aggregators import without_teachers
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


def test_it_is_no_output_of_the_run_and_is_not_run_to_predict(teacher):
    model = student(teacher[1]).eval()
    model.head.aggregator._teacher[0].forward = None
    for sample in run(model, 'predict'):
        assert 'keypoints' in sample.pred_instances
        assert sample.pred_outputs.keys() == []
    two = make_model(branches=2, aggregator=teacher[1], distiller=DISTILLER).eval()
    assert run(two, 'predict')[0].pred_outputs.keys() == ['branch1']


def test_it_cannot_be_deployed(teacher):
    with pytest.raises(UserError, match="branch='ensemble' is what FrozenTeacher makes, which onl"):
        student(teacher[1], test_cfg=dict(branch=ENSEMBLE))


def test_without_teachers_a_model_of_the_same_weights_is_built_and_never_trained(teacher):
    gone = dict(type='FrozenTeacher', config='nowhere.py')
    with without_teachers():
        model = student(gone)
    model.load_state_dict(student(teacher[1]).state_dict())
    assert run(model.double().eval(), 'predict')
    with pytest.raises(ValueError, match='not enough values'):
        run(model.float().train(), 'loss')
    with pytest.raises(UserError, match='must both name files'):
        student(gone)


def test_a_students_checkpoint_teaches_without_its_own_teachers_files(tmp_path, teacher):
    aggregator = teacher[1]
    (tmp_path / 'born').mkdir()
    config = okdhp_model(branches=1, aggregator=aggregator, distiller=DISTILLER)
    born, again = save(tmp_path / 'born', config)
    for file in ('config', 'checkpoint'):
        Path(aggregator[file]).unlink()
    images = torch.randn(2, 3, 64, 64)
    model = student(again).eval()
    expected = born(images, None, mode='tensor')
    assert torch.equal(model.head.outputs(model.backbone(images)).ensemble, expected)


def test_copies_of_the_model_share_it(teacher):
    model = student(teacher[1], averaged=dict(momentum=0.1))
    kept = []
    for part in (model, model.averaged.module, copy.deepcopy(model)):
        aggregator = part.head.aggregator
        network, adapter = aggregator._teacher
        assert adapter.head is network.head
        kept.append((id(aggregator), id(network)))
    copies, networks = map(set, zip(*kept, strict=True))
    assert (len(copies), len(networks)) == (3, 1)


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


def test_a_checkpoint_of_mmpose_0_is_read_as_mmpose_reads_it(tmp_path):
    network, aggregator = save(tmp_path, stock_model('resnet'))
    state = {
        name.replace('head.', 'keypoint_head.'): value
        for name, value in network.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    state |= {f'data_preprocessor.{name}': torch.zeros(3, 1, 1) for name in ('mean', 'std')}
    torch.save(dict(state_dict=state, meta={}), aggregator['checkpoint'])
    model = student(aggregator).eval()
    images = torch.randn(2, 3, 64, 64)
    taught = model.head.outputs(model.backbone(images)).ensemble
    assert torch.equal(taught, network(images, None, mode='tensor'))


def test_a_stock_checkpoint_is_not_fanned_out_to_a_teacher_with_branches(tmp_path):
    mean = okdhp_model('resnet', aggregator=dict(type='MeanAggregator'), distiller=DISTILLER)
    _, aggregator = save(tmp_path, mean)
    stock = build(stock_model('resnet')).state_dict()
    torch.save(dict(state_dict=stock, meta={}), aggregator['checkpoint'])
    with pytest.raises(UserError, match=r'teacher\.pth is no checkpoint of an OKDHP training'):
        student(aggregator)


def test_a_stock_teacher_has_no_output_to_choose(teacher):
    with pytest.raises(UserError, match="output='ensemble' chooses one of several branches"):
        student(teacher[1] | dict(output=ENSEMBLE))


def test_a_teacher_of_other_keypoints_is_refused(tmp_path):
    _, aggregator = save(tmp_path, stock_model('resnet', head=head(64, out_channels=5)))
    with pytest.raises(UserError, match=r'FrozenTeacher makes heatmaps of shape \(5, 16, 16\)'):
        student(aggregator)
