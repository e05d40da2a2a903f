"""A trained network that teaches and stays as it is."""

import copy
from pathlib import Path

import pytest
import torch
from common import CODEC, batch, build, head, make_model, okdhp_model, run, shake, stock_model
from mmengine.config import Config
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.teachers import Teacher
from okdhp_mm.structures import ENSEMBLE

TERMS = dict(
    loss_kpt=dict(type='SupervisedTerm', of='branches'),
    loss_kd=dict(type='DistillTerm', teacher='frozen', loss=dict(type='KLHeatmapLoss')),
)
DISTILLER = dict(type='Distiller', terms=TERMS)
MEAN = dict(type='MeanAggregator')


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


def student(teacher, **changes):
    given = dict(branches=1, aggregator=MEAN, distiller=DISTILLER) | changes
    return make_model(teacher=teacher, **given)


def taught(teacher, **changes):
    model = student(teacher, **changes)
    model.load_teacher()
    return model


def seen_by(term):
    """The outputs that a term gets."""
    seen = []
    term.register_forward_pre_hook(lambda term, args: seen.append(args[0]))
    return seen


def test_its_heatmaps_of_the_plain_images_arrive_as_the_teachers(teacher):
    network, settings = teacher
    model = taught(settings, views=dict(type='PhotometricViews'), branches=2).train()
    seen = seen_by(model.head.distiller.terms['loss_kd'])
    data = batch()
    run(model, 'loss', data)
    images = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    assert torch.equal(seen[0].teacher, network(images, None, mode='tensor'))
    assert not seen[0].teacher.requires_grad


def test_it_is_trained_by_nothing_and_saved_nowhere(teacher):
    network, settings = teacher
    model = student(settings)
    model.init_weights()
    model.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    total, _ = model.parse_losses(run(model, 'loss'))
    total.backward()
    frozen = model.teacher.network
    trained = [p for name, p in model.named_parameters() if not name.startswith('teacher.')]
    assert all(parameter.grad is not None for parameter in trained)
    assert all(not p.requires_grad and p.grad is None for p in frozen.parameters())
    assert not any(name.startswith('teacher') for name in model.state_dict())
    assert get_state_dict(model).keys() == model.state_dict().keys()
    assert not frozen.training
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize('load', [load_state_dict, torch.nn.Module.load_state_dict])
def test_a_checkpoint_without_it_is_complete(teacher, load):
    model, other = taught(teacher[1]), taught(teacher[1])
    shake(other)
    before = {name: value.clone() for name, value in model.teacher.network.state_dict().items()}
    load(model, other.state_dict(), strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    for name, value in model.teacher.network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_is_no_output_of_the_run_and_is_not_run_to_predict(teacher):
    model = taught(teacher[1]).eval()
    model.teacher.forward = None
    for sample in run(model, 'predict'):
        assert 'keypoints' in sample.pred_instances
        assert sample.pred_outputs.keys() == []
    two = taught(teacher[1], branches=2).eval()
    two.teacher.forward = None
    assert set(run(two, 'predict')[0].pred_outputs.keys()) == {'branch1', ENSEMBLE}


def test_one_branch_has_no_ensemble_to_deploy(teacher):
    with pytest.raises(UserError, match="branch='ensemble' requires several branches"):
        student(teacher[1], test_cfg=dict(branch=ENSEMBLE))


def test_without_its_files_a_model_of_the_same_weights_is_built_and_never_trained(teacher):
    model = student(dict(type='FrozenTeacher', config='nowhere.py'))
    model.load_state_dict(taught(teacher[1]).state_dict())
    assert run(model.double().eval(), 'predict')
    with pytest.raises(UserError, match='FrozenTeacher has no weights yet'):
        run(model.float().train(), 'loss')
    with pytest.raises(UserError, match='must both name files'):
        model.init_weights()


def test_a_students_checkpoint_teaches_without_its_own_teachers_files(tmp_path, teacher):
    settings = teacher[1]
    (tmp_path / 'born').mkdir()
    config = okdhp_model(branches=1, aggregator=MEAN, distiller=DISTILLER, teacher=settings)
    born, again = save(tmp_path / 'born', config)
    for file in ('config', 'checkpoint'):
        Path(settings[file]).unlink()
    images = torch.randn(2, 3, 64, 64)
    expected = born(images, None, mode='tensor')
    assert torch.equal(taught(again).teacher(images, []), expected)


def test_copies_of_the_model_share_it(teacher):
    model = taught(teacher[1], ema=dict(momentum=0.1))
    parts = (model, model.ema.module, copy.deepcopy(model))
    assert len({id(part) for part in parts}) == 3
    assert {id(part.teacher.network) for part in parts} == {id(model.teacher.network)}


def test_it_follows_the_model_to_another_type(teacher):
    model = taught(teacher[1]).double()
    assert model.teacher.network.backbone.conv1.weight.dtype == torch.float64
    model = student(teacher[1]).double()
    model.init_weights()
    assert model.teacher.network.backbone.conv1.weight.dtype == torch.float64


def test_the_ensemble_of_a_multi_branch_training_can_teach(tmp_path):
    network, settings = save(tmp_path, okdhp_model())
    images = torch.randn(2, 3, 64, 64)
    outputs = network.head.outputs(network.backbone(images))
    for output, expected in ((ENSEMBLE, outputs.ensemble), (1, outputs.final_heatmaps[1])):
        assert torch.equal(taught(settings | dict(output=output)).teacher(images, []), expected)


def test_a_frozen_backbone_leaves_only_the_head_to_learn(tmp_path):
    _, settings = save(tmp_path, okdhp_model())
    model = taught(settings | dict(output=ENSEMBLE), freeze_backbone=True).train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    total, _ = model.parse_losses(run(model, 'loss', batch()))
    total.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith('head.')}
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_teacher_has_to_be_named():
    with pytest.raises(UserError, match='config=None and checkpoint=None must both name files'):
        student(dict(type='FrozenTeacher')).init_weights()


@pytest.mark.parametrize('missing', ['config', 'checkpoint'])
def test_a_teacher_that_is_not_there_is_told(teacher, missing):
    with pytest.raises(UserError, match=f'{missing} nowhere.py does not exist'):
        student(teacher[1] | {missing: 'nowhere.py'}).init_weights()


def test_another_networks_checkpoint_is_refused(tmp_path, teacher):
    other = tmp_path / 'other'
    other.mkdir()
    checkpoint = save(other, stock_model('hrnet'))[1]['checkpoint']
    with pytest.raises(UserError, match=r'other/teacher\.pth is not a checkpoint of .*teacher\.py'):
        taught(teacher[1] | dict(checkpoint=checkpoint))


def test_a_checkpoint_of_mmpose_0_is_read_as_mmpose_reads_it(tmp_path):
    network, settings = save(tmp_path, stock_model('resnet'))
    state = {
        name.replace('head.', 'keypoint_head.'): value
        for name, value in network.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    state |= {f'data_preprocessor.{name}': torch.zeros(3, 1, 1) for name in ('mean', 'std')}
    torch.save(dict(state_dict=state, meta={}), settings['checkpoint'])
    images = torch.randn(2, 3, 64, 64)
    expected = network(images, None, mode='tensor')
    assert torch.equal(taught(settings).teacher(images, []), expected)


def test_a_stock_checkpoint_is_not_fanned_out_to_a_teacher_with_branches(tmp_path):
    terms = dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))
    mean = okdhp_model('resnet', aggregator=MEAN, distiller=dict(type='Distiller', terms=terms))
    _, settings = save(tmp_path, mean)
    stock = build(stock_model('resnet')).state_dict()
    torch.save(dict(state_dict=stock, meta={}), settings['checkpoint'])
    with pytest.raises(UserError, match=r'teacher\.pth is not a checkpoint of an OKDHP training'):
        taught(settings)


def test_a_stock_teacher_has_no_output_to_choose(teacher):
    with pytest.raises(UserError, match="output='ensemble' chooses one of several branches"):
        taught(teacher[1] | dict(output=ENSEMBLE))


def test_a_teacher_of_other_keypoints_is_refused_before_the_training(tmp_path):
    _, settings = save(tmp_path, stock_model('resnet', head=head(64, out_channels=5)))
    with pytest.raises(UserError, match=r'predicts 5 keypoints, but the student 17\. Set model'):
        taught(settings)


def test_keypoints_that_the_teacher_lacks_are_not_taught(tmp_path):
    network, settings = save(tmp_path, stock_model('resnet', head=head(64, out_channels=5)))
    keypoints = [4, None, 0] + [None] * 14
    model = taught(settings | dict(keypoints=keypoints)).train()
    seen = seen_by(model.head.distiller.terms['loss_kd'])
    data = batch()
    losses = run(model, 'loss', data)
    images = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    maps = network(images, None, mode='tensor')
    assert torch.equal(seen[0].teacher[:, 0], maps[:, 4])
    assert torch.equal(seen[0].teacher[:, 2], maps[:, 0])
    labels = torch.cat([s.gt_instance_labels.keypoint_weights for s in data['data_samples']])
    assert labels.all()
    assert seen[0].teacher_weights.nonzero().tolist() == [[0, 0], [0, 2], [1, 0], [1, 2]]
    term = model.head.distiller.terms['loss_kd'].loss
    student = seen[0].final_heatmaps[0][:, [0, 2]]
    expected = term(student, maps[:, [4, 0]], torch.ones(2, 2)) * 2 / 17
    assert losses['loss_kd'].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize('keypoints', [[0] * 3, [17] * 17, [-1] * 17])
def test_indices_that_do_not_exist_are_refused(teacher, keypoints):
    with pytest.raises(UserError, match=r'must have 17 entries.* an index from 0 to 16'):
        taught(teacher[1] | dict(keypoints=keypoints))


def test_heatmaps_of_another_size_are_resized(tmp_path):
    codec = CODEC | dict(heatmap_size=(8, 8))
    network, settings = save(tmp_path, stock_model('resnet', head=head(64, codec, (8, 8))))
    model = taught(settings).train()
    seen = seen_by(model.head.distiller.terms['loss_kd'])
    assert run(model, 'loss')['loss_kd'] > 0
    assert seen[0].teacher.shape == (2, 17, 16, 16)
    images = torch.randn(2, 3, 64, 64)
    maps = network(images, None, mode='tensor')
    assert maps.shape[-1] == 8
    # Every second pixel is one of the teacher's.
    assert torch.allclose(model.teacher(images, [])[..., ::2, ::2], maps, atol=1e-5)


def test_heatmaps_cannot_teach_distributions(tmp_path, teacher):
    simcc = dict(type='SimCCLabel', input_size=(64, 64), sigma=4.0, simcc_split_ratio=2.0)
    own = dict(
        type='SimCCHead',
        in_channels=64,
        out_channels=17,
        input_size=(64, 64),
        in_featuremap_size=(2, 2),
        deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=simcc,
    )
    model = make_model('resnet', teacher=teacher[1], branches=1, aggregator=MEAN, head=own,
                       distiller=DISTILLER)  # fmt: skip
    with pytest.raises(UserError, match='predicts heatmaps, but the student SimCC .*pseudo-label'):
        model.load_teacher()


def test_a_term_and_its_teacher_have_to_be_set_both(teacher):
    with pytest.raises(UserError, match=r"teacher='frozen' is not one of .*model\.teacher=dict"):
        student(None)
    alone = dict(type='Distiller', terms=dict(loss_kpt=TERMS['loss_kpt']))
    with pytest.raises(UserError, match=r"no term .* learns from it. Set teacher='frozen'"):
        student(teacher[1], distiller=alone)


def test_one_branch_cannot_teach_itself():
    terms = TERMS | dict(loss_kd=dict(type='DistillTerm'))
    with pytest.raises(UserError, match="teacher='ensemble' of one branch is this branch"):
        student(None, distiller=dict(type='Distiller', terms=terms))


class LabelTeacher(Teacher):
    """Teaches what the labels say."""

    name = 'labels'

    def forward(self, images, data_samples):
        return torch.stack([sample.gt_fields.heatmaps for sample in data_samples])


def test_a_further_kind_of_teacher_is_one_class():
    terms = TERMS | dict(loss_kd=dict(type='DistillTerm', teacher='labels'))
    MODELS.register_module(module=LabelTeacher, force=True)
    distiller = dict(type='Distiller', terms=terms)
    model = student(dict(type='LabelTeacher'), branches=2, distiller=distiller)
    model.init_weights()
    seen = seen_by(model.head.distiller.terms['loss_kd'])
    assert run(model.train(), 'loss')['loss_kd'] > 0
    assert seen[0].teacher.shape == (2, 17, 16, 16)
