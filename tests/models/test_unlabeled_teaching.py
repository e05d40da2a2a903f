"""Teaching with unlabeled images: what changes in a step, and what does not."""

import copy

import numpy as np
import pytest
import torch
from common import NUM_KEYPOINTS, batch, build, okdhp_model, run, shake

from okdhp_mm.errors import UserError
from okdhp_mm.models.unlabeled import mirrored_back
from okdhp_mm.recipes.methods import apply_method

METHODS = ('okdhp_unlabeled', 'mean_teacher', 'pose_dual')
STILL = dict(
    rotation=0, scale=0, shift=0, flip=0, joints=0,
    photometric=dict(brightness=0, contrast=0, color=0, hide=0),
)  # fmt: skip
SIMCC_INPUT = (64, 96)


def model_of(method='okdhp_unlabeled', config=None, **unlabeled):
    config = config or okdhp_model('resnet')
    apply_method(config, method)
    config.unlabeled.update(unlabeled)
    model = shake(build(config))
    model.head.distiller.set_progress(1.0)
    return model


def mixed(labeled=2, unlabeled=2, **changes):
    data = batch(labeled + unlabeled, **changes)
    for sample in data['data_samples'][labeled:]:
        sample.set_metainfo(dict(unlabeled=True))
    return data


def first(data, count):
    return {key: values[:count] for key, values in data.items()}


@pytest.mark.parametrize('method', METHODS)
def test_labeled_losses_and_statistics_are_those_without_unlabeled_images(method):
    with_more, alone = model_of(method), model_of(method)
    data = mixed(2, 3)
    mixed_losses, losses = run(with_more, 'loss', data), run(alone, 'loss', first(data, 2))
    assert losses['loss_unlabeled'] == 0
    assert mixed_losses['loss_unlabeled'] > 0
    for name, value in losses.items():
        if name != 'loss_unlabeled':
            assert torch.equal(mixed_losses[name], value), name
    buffers = zip(with_more.buffers(), alone.buffers(), strict=True)
    assert all(torch.equal(one, other) for one, other in buffers), 'running statistics'


def test_the_labeled_loss_is_a_mean_over_labeled_persons_only():
    model = model_of().eval()
    data = mixed(1, 3)
    losses = run(model, 'loss', data)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(unlabeled=False))
    everyone = run(model, 'loss', data)
    assert losses['loss_kpt'] != everyone['loss_kpt']
    assert losses['loss_kpt'] == run(model, 'loss', first(data, 1))['loss_kpt']


@pytest.mark.parametrize('method', METHODS)
def test_a_teacher_that_is_equal_to_its_student_teaches_nothing(method):
    """Without any change of the image, and with equal branches."""
    model = model_of(method, target='maps', views=STILL).eval()
    state = model.state_dict()
    for name, value in state.items():
        for index in range(1, len(model.head.branches)):
            other = name.replace('.branches.0.', f'.branches.{index}.')
            if other != name:
                state[other].copy_(value)
    if model.ema is not None:
        model.ema.steps.zero_()  # the first update copies the model
        model.ema.update(model)
    data = mixed()
    assert run(model, 'loss', data)['loss_unlabeled'].item() == pytest.approx(0, abs=1e-6)
    model.head.branches[0].final_layer.bias.data[0] += 1
    model.head.branches[0].final_layer.weight.data *= 1.5
    assert run(model, 'loss', data)['loss_unlabeled'] > 1e-4


@pytest.mark.parametrize('flip_test', [False, True])
def test_keypoints_are_learned_like_labels(flip_test):
    """The loss is that of labeled images with the teacher's peaks as labels."""
    model = model_of(
        'mean_teacher', confidence=0.0, flip_test=flip_test, views=STILL | dict(flip=1e-9)
    ).eval()
    data = mixed()
    samples = data['data_samples'][2:]
    images = model.data_preprocessor(data, True)['inputs'][2:]
    indices = samples[0].metainfo['flip_indices']
    maps = model.ema.module.head.outputs(model.ema.module.backbone(images)).ensemble
    if flip_test:
        mirrored = model.ema.module.head.outputs(model.ema.module.backbone(images.flip(-1)))
        back = mirrored_back(model.head.adapter, mirrored.ensemble, images, indices)
        maps = (maps + back) / 2
    adapter = model.head.adapter
    places, _ = adapter.peaks(maps)
    labels = torch.cat(
        [adapter.encode(p[None].numpy(), np.ones(p.shape[:1])[None]) for p in places]
    )
    output = model.head.branches[0](model.backbone(images).branches[0])
    with torch.no_grad():
        expected = torch.nn.functional.mse_loss(output, labels)
    found = run(model, 'loss', data)['loss_unlabeled']
    assert found.item() == pytest.approx(expected.item(), rel=5e-3)


def test_a_loss_between_maps_needs_maps():
    config = okdhp_model('resnet')
    apply_method(config, 'mean_teacher')
    config.distiller.terms.loss_unlabeled.loss = dict(type='KLHeatmapLoss')
    with pytest.raises(UserError, match=r"compares maps, but model\.unlabeled\.target='keypoints'"):
        build(config)
    config.unlabeled.target = 'maps'
    build(config)


def test_the_teacher_gets_no_gradient():
    model = model_of('pose_dual', views=STILL).eval()
    losses = run(model, 'loss', mixed())
    losses['loss_unlabeled'].backward()
    assert all(p.grad is not None for p in model.head.branches.parameters())
    model = model_of(views=STILL)
    run(model, 'loss', mixed())['loss_unlabeled'].backward()
    assert all(p.grad is None for p in model.ema.parameters())


@pytest.mark.parametrize('method', METHODS)
def test_half_precision_changes_the_loss_little(method):
    data, losses = mixed(), []
    for precise in (True, False):
        model = model_of(method, confidence=0.0, views=STILL).eval()
        with torch.autocast('cpu', torch.bfloat16, enabled=not precise):
            losses.append(run(model, 'loss', data)['loss_unlabeled'])
    assert all(loss.dtype == torch.float32 for loss in losses)
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.05)


def test_keypoints_that_the_teacher_is_not_sure_about_are_left_out():
    data = mixed()
    losses = {}
    for confidence in (0.0, 0.99):
        model = model_of(confidence=confidence, views=STILL).eval()
        for m in (model, model.ema.module):
            for branch in m.head.branches:
                branch.final_layer.weight.data *= 0.01
                branch.final_layer.bias.data.zero_()
        losses[confidence] = run(model, 'loss', data)
    assert losses[0.0]['unlabeled_used'] == 1
    assert losses[0.99]['unlabeled_used'] == 0
    assert losses[0.99]['loss_unlabeled'] == 0
    assert 0 < losses[0.0]['unlabeled_teacher_peak'] < 0.99


def test_the_log_has_the_heights_of_the_peaks():
    losses = run(model_of(), 'loss', mixed())
    names = {'unlabeled_peak', 'unlabeled_teacher_peak', 'unlabeled_used'}
    assert names <= losses.keys()
    assert not names & run(model_of(), 'loss', batch()).keys()


@pytest.mark.parametrize('target', ['keypoints', 'maps'])
@pytest.mark.parametrize('method', METHODS)
def test_simcc_students_learn_from_them(method, target):
    codec = dict(type='SimCCLabel', input_size=SIMCC_INPUT, sigma=4.0, simcc_split_ratio=2.0)
    simcc = dict(
        type='SimCCHead', in_channels=64, out_channels=NUM_KEYPOINTS, input_size=SIMCC_INPUT,
        in_featuremap_size=(2, 3), simcc_split_ratio=2.0, deconv_out_channels=None, decoder=codec,
        loss=dict(type='KLDiscretLoss'),
    )  # fmt: skip
    config = okdhp_model('resnet', codec)
    config.head = simcc
    model = model_of(method, config, target=target, confidence=0.0)
    data = mixed(input_size=SIMCC_INPUT)
    for sample in data['data_samples']:
        x, y = torch.rand(1, NUM_KEYPOINTS, 128), torch.rand(1, NUM_KEYPOINTS, 192)
        sample.gt_instance_labels.set_data(
            dict(keypoint_x_labels=x.softmax(-1), keypoint_y_labels=y.softmax(-1))
        )
    losses = run(model, 'loss', data)
    assert losses['loss_unlabeled'] > 0
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(teacher='mean'), r"teacher='mean' is not one of \('ema', 'peers'\)"),
        (dict(target='points'), r"target='points' is not one of \('keypoints', 'maps'\)"),
        (dict(confidence=1.5), 'confidence=1.5'),
        (dict(views=dict(flip=3)), 'flip'),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        model_of(**changes)


def test_a_model_without_the_teacher_or_the_term_is_refused():
    config = okdhp_model('resnet', unlabeled=dict(teacher='ema'))
    with pytest.raises(UserError, match='EMA copy'):
        build(config)
    config = okdhp_model('resnet', unlabeled=dict(teacher='peers'))
    with pytest.raises(UserError, match='no term of the distiller'):
        build(config)
    config.branches = 1
    config.aggregator = dict(type='MeanAggregator')
    with pytest.raises(UserError, match='several branches'):
        build(config)
    term = dict(type='UnlabeledTerm')
    config = okdhp_model('resnet', distiller=dict(terms=dict(loss_unlabeled=term)))
    with pytest.raises(UserError, match=r'model\.unlabeled'):
        build(config)


def test_a_batch_without_labels_or_in_another_order_is_refused():
    model, data = model_of(), mixed(0, 2)
    with pytest.raises(UserError, match='must have labeled samples'):
        run(model, 'loss', data)
    data = copy.deepcopy(mixed(1, 1))
    data = {key: values[::-1] for key, values in data.items()}
    with pytest.raises(UserError, match='must follow them'):
        run(model, 'loss', data)


def test_a_head_without_moves_says_what_is_missing(monkeypatch):
    from okdhp_mm.models.heads.adapters import HeadAdapter, HeatmapAdapter

    monkeypatch.setattr(HeatmapAdapter, 'peaks', HeadAdapter.peaks)
    with pytest.raises(UserError, match='HeatmapAdapter has no method `peaks`'):
        run(model_of(), 'loss', mixed())
