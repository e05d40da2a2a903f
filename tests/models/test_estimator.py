"""The estimator: predictions equal those of stock estimators, and checkpoints of every kind."""

import copy
import logging
import re

import numpy as np
import pytest
import torch
from common import (
    HEATMAP_SIZE,
    INPUT_SIZE,
    NUM_KEYPOINTS,
    batch,
    build,
    head,
    images,
    make_model,
    okdhp_model,
    resnet,
    run,
    shake,
    stock_model,
    student_weights,
)
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict
from mmpose.registry import MODELS
from torch import nn

from okdhp_mm.errors import UserError
from okdhp_mm.structures import ENSEMBLE

UDP = dict(type='UDPHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=2)
MSRA = dict(type='MSRAHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=2)
FLIP = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True)
VIPNAS = dict(
    type='ViPNASHead', in_channels=64, out_channels=NUM_KEYPOINTS, deconv_out_channels=(8, 8, 8),
    deconv_num_groups=(4, 4, 4), decoder=MSRA,
)  # fmt: skip
CPM = dict(
    type='CPMHead', in_channels=64, out_channels=NUM_KEYPOINTS, num_stages=1,
    deconv_out_channels=(8, 8, 8), deconv_kernel_sizes=(4, 4, 4), decoder=MSRA,
)  # fmt: skip
# A second layer in a neck: the outputs of two ResNet layers, concatenated.
NECKED = dict(
    backbone=resnet(out_indices=(2, 3)),
    neck=dict(type='FeatureMapProcessor', select_index=(0, 1), concat=True),
    head=head(32 + 64, deconv=(8, 8)),
)
STUDENTS = {
    'HRNet, MSRA': ('hrnet', MSRA, {}),
    'HRNet, UDP': ('hrnet', UDP, {}),
    'ResNet, MSRA': ('resnet', MSRA, {}),
    'ViPNAS head': ('resnet', MSRA, dict(head=VIPNAS)),
    'CPM head': ('resnet', MSRA, dict(head=CPM)),
    'neck': ('resnet', MSRA, NECKED),
    'MobileNetV2, whole': (
        'resnet',
        MSRA,
        dict(
            backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
            head=head(1280),
        ),
    ),
}


def student(name, **changes):
    kind, codec, own = STUDENTS[name]
    whole = dict(split='whole') if 'whole' in name else {}
    model = shake(make_model(kind, codec, **copy.deepcopy(own), **whole, **changes)).eval()
    stock = build(stock_model(kind, codec, **copy.deepcopy(own))).eval()
    stock.test_cfg.update(
        {k: v for k, v in model.test_cfg.items() if k not in ('branch', 'report')}
    )
    return model, stock


@pytest.fixture(scope='module')
def hrnet_model():
    return shake(make_model())


def assert_same_predictions(ours, stock):
    for key in ('keypoints', 'keypoint_scores'):
        assert np.array_equal(getattr(ours, key), getattr(stock, key))


# ------------------------------------------------------------------------- predictions


@pytest.mark.parametrize('flip', [{}, FLIP], ids=['', 'flip test'])
@pytest.mark.parametrize('name', STUDENTS)
def test_each_branch_predicts_what_the_stock_estimator_with_its_weights_does(name, flip):
    model, stock = student(name, test_cfg=flip)
    predicted = run(model, 'predict')
    keypoints = []
    for m in range(3):
        stock.load_state_dict(student_weights(model, m), strict=True)
        for ours, theirs in zip(predicted, run(stock, 'predict'), strict=True):
            instances = ours.pred_instances if m == 0 else ours.pred_outputs.get(f'branch{m}')
            assert_same_predictions(instances, theirs.pred_instances)
        keypoints.append(instances.keypoints)
    assert not np.array_equal(keypoints[0], keypoints[1]), 'the branches differ'


@pytest.mark.parametrize('name', ['HRNet, MSRA', 'neck', 'CPM head'])
@pytest.mark.parametrize('branch', [0, 2])
def test_tensor_mode_gives_the_deployed_heatmaps_of_stock_bit_for_bit(name, branch):
    model, stock = student(name, test_cfg=dict(branch=branch))
    stock.load_state_dict(student_weights(model, branch), strict=True)
    theirs = stock(images(), None, mode='tensor')
    theirs = theirs[-1] if isinstance(theirs, list) else theirs
    assert torch.equal(model(images(), None, mode='tensor'), theirs)


def test_the_ensemble_predicts_from_the_aggregated_heatmaps(hrnet_model):
    model = hrnet_model.eval()
    data = batch()
    inputs = model.data_preprocessor(copy.deepcopy(data), training=False)['inputs']
    decoded = model.head.decode(model.head.outputs(model.backbone(inputs)).ensemble.detach())
    for sample, expected in zip(run(model, 'predict', data), decoded, strict=True):
        ensemble = sample.pred_outputs.get(ENSEMBLE)
        assert np.array_equal(ensemble.keypoint_scores, expected.keypoint_scores)
        # In the image, as the deployed output is: scaled and shifted out of the input's space.
        meta = sample.metainfo
        in_image = expected.keypoints / meta['input_size'] * meta['input_scale']
        in_image = in_image + meta['input_center'] - 0.5 * meta['input_scale']
        np.testing.assert_allclose(ensemble.keypoints, in_image, rtol=1e-5)


def test_deploying_another_output_swaps_the_names_and_no_number():
    by_name = {}
    for deployed in (0, 1, ENSEMBLE):
        model = shake(make_model(test_cfg=dict(branch=deployed) | FLIP)).eval()
        sample = run(model, 'predict')[0]
        name = deployed if deployed == ENSEMBLE else f'branch{deployed}'
        assert set(sample.pred_outputs.keys()) == {'branch0', 'branch1', 'branch2', ENSEMBLE} - {
            name
        }
        given = {n: sample.pred_outputs.get(n) for n in sample.pred_outputs.keys()}
        given[name] = sample.pred_instances
        for other, instances in given.items():
            assert_same_predictions(by_name.setdefault(other, instances), instances)


@pytest.mark.parametrize('deployed', [0, 1, ENSEMBLE])
@pytest.mark.parametrize('flip', [{}, FLIP], ids=['', 'flip test'])
def test_reporting_the_deployed_output_alone_gives_the_same(deployed, flip):
    everything = shake(make_model(test_cfg=dict(branch=deployed) | flip)).eval()
    alone = shake(make_model(test_cfg=dict(branch=deployed, report='deployed') | flip)).eval()
    samples = run(alone, 'predict')
    for ours, theirs in zip(samples, run(everything, 'predict'), strict=True):
        assert 'pred_outputs' not in ours
        assert_same_predictions(ours.pred_instances, theirs.pred_instances)


def convolutions_run(model, action):
    """Names of the convolutions that an action runs."""
    names = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: names.append(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    action()
    for handle in hooks:
        handle.remove()
    return names


@pytest.mark.parametrize('deployed', [0, 1])
def test_tensor_mode_and_reporting_the_deployed_branch_run_that_branch_only(deployed):
    model = make_model(test_cfg=dict(branch=deployed, report='deployed')).eval()
    stock = build(stock_model()).eval()
    student_only = len(convolutions_run(stock, lambda: stock(images(), None, mode='tensor')))
    for mode in ('tensor', 'predict'):
        action = (
            (lambda: run(model, 'predict'))
            if mode == 'predict'
            else (lambda: model(images(), None, mode='tensor'))
        )
        names = convolutions_run(model, action)
        assert len(names) == student_only
        others = tuple(
            f'{part}.branches.{m}.'
            for part in ('backbone', 'head')
            for m in range(3)
            if m != deployed
        )
        assert not [name for name in names if name.startswith(others)]
        assert any(f'head.branches.{deployed}.' in name for name in names)


@pytest.mark.parametrize('deployed', [1, ENSEMBLE])
def test_output_heatmaps_are_those_of_the_deployed_output(deployed):
    model = shake(make_model(test_cfg=dict(branch=deployed, output_heatmaps=True))).eval()
    data = batch()
    inputs = model.data_preprocessor(copy.deepcopy(data), training=False)['inputs']
    expected = model.head.forward(model.backbone(inputs), deployed)
    for sample, maps in zip(run(model, 'predict', data), expected, strict=True):
        assert torch.equal(sample.pred_fields.heatmaps, maps.detach())


@pytest.mark.parametrize('name', ['hrnet', 'resnet'])
def test_loss_and_prediction_run_under_bfloat16_autocast(name):
    model = shake(make_model(name, test_cfg=FLIP)).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = run(model, 'loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    assert [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []
    model.eval()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        sample = run(model, 'predict')[0]
    assert sample.pred_instances.keypoints.shape == (1, NUM_KEYPOINTS, 2)
    assert np.isfinite(sample.pred_outputs.get(ENSEMBLE).keypoints).all()


# ------------------------------------------------------------------------- training steps


@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        ('hrnet', dict(split='layer1')),
        ('hrnet', dict(split='stage2')),
        ('hrnet', dict(split='stage3')),
        ('hrnet', dict(split='whole')),
        ('resnet', dict(split='stem', branches=2)),
        ('resnet', dict(split='layer3', branches=4)),
        ('resnet', dict(split='whole')),
        ('resnet', dict(head=VIPNAS)),
        ('resnet', dict(head=CPM)),
        ('resnet', NECKED),
        ('hrnet', dict(aggregator=dict(type='MeanAggregator'))),
        ('hrnet', dict(aggregator=dict(type='FAU', form='released'))),
        ('hrnet', dict(aggregator=dict(type='FAU', form='paper'))),
    ],
    ids=lambda value: str(value)[:40],
)
def test_one_step_gives_every_trainable_parameter_a_gradient(name, changes):
    model = make_model(name, **copy.deepcopy(changes)).train()
    model.init_weights()
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_a_few_steps_lower_the_loss_of_every_branch_and_of_the_ensemble():
    model = make_model()
    model.init_weights()
    model.train()
    data = batch()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    history = []
    for _ in range(15):
        losses = run(model, 'loss', data)
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    assert history[-1]['loss_kpt'] < 0.6 * history[0]['loss_kpt']
    assert history[-1]['loss_ens'] < 0.6 * history[0]['loss_ens']


def test_branches_may_have_heads_of_their_own():
    deeper = dict(head=dict(conv_out_channels=(8,), conv_kernel_sizes=(3,)))
    model = shake(make_model(branches=[{}, deeper])).train()
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    config = stock_model()
    config.head.update(deeper['head'])
    stock = build(config).eval()
    model.eval()
    stock.load_state_dict(student_weights(model, 1), strict=True)
    for ours, theirs in zip(run(model, 'predict'), run(stock, 'predict'), strict=True):
        assert_same_predictions(ours.pred_outputs.get('branch1'), theirs.pred_instances)


def test_a_part_of_the_default_method_may_be_changed():
    weight = dict(terms=dict(loss_kd=dict(loss_weight=2)))
    model = make_model(distiller=weight, aggregator=dict(form='paper'))
    terms = model.head.distiller.terms
    assert set(terms) == {'loss_kpt', 'loss_ens', 'loss_kd'}
    assert terms.loss_kd.loss_weight == 2
    assert terms.loss_kd.schedule is not None
    assert type(model.head.aggregator).__name__ == 'FAU'
    assert model.head.aggregator.form == 'paper'
    assert make_model().head.distiller.terms.loss_kd.loss_weight == 4, 'the default is as it was'


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(branches=2.5), 'branches=2.5 is neither a number nor a list'),
        (dict(branches=[1, 2]), r'branches=\[1, 2\] is neither a number nor a list'),
        (dict(ema=True), 'ema=True is not a dict of settings'),
        (dict(distiller=dict(terms=dict(loss_kd=dict(students=1)))), 'students=1 is not one of'),
        (
            dict(distiller=dict(terms=dict(loss_x=dict(a=1)))),
            "the term loss_x={'a': 1} has no type",
        ),
    ],
    ids=['number', 'list', 'ema', 'students', 'term'],
)
def test_settings_of_another_kind_are_told(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make_model(**changes)


def test_building_changes_no_statistics_and_leaves_the_model_training():
    model = make_model()
    assert all(module.training for module in model.modules())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(not norm.running_mean.any() and norm.num_batches_tracked == 0 for norm in norms)


def test_building_leaves_the_config_as_it_is():
    config = okdhp_model(branches=[{}, dict(head=dict(out_channels=17))])
    before = copy.deepcopy(config.to_dict())
    MODELS.build(config)
    assert config.to_dict() == before


# ------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize('branch', [3, -1, 'branch1', None])
def test_a_deployed_branch_that_does_not_exist_is_refused(branch):
    with pytest.raises(UserError, match=r"test_cfg.branch=.* valid are 0 to 2 and 'ensemble'"):
        make_model(test_cfg=dict(branch=branch))


def test_an_unknown_report_is_refused():
    with pytest.raises(
        UserError, match=r"test_cfg.report='best' is not one of \('all', 'deployed'"
    ):
        make_model(test_cfg=dict(report='best'))


# ---------------------------------------------------------------------------- checkpoints


@pytest.fixture
def messages():
    """Return the messages that are logged in a test, with their levels."""
    told = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: told.append(f'{record.levelname}: {record.getMessage()}')
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


@pytest.fixture(params=['torch', 'mmengine'])
def load(request):
    """The two ways to load a state dict: torch's and mmengine's."""
    if request.param == 'torch':
        return lambda model, state, strict: model.load_state_dict(state, strict=strict)
    return lambda model, state, strict: load_state_dict(model, state, strict=strict)


def test_its_own_checkpoint_loads_strictly(load, hrnet_model):
    other = make_model()
    load(other, hrnet_model.state_dict(), strict=True)
    for name, value in other.state_dict().items():
        assert torch.equal(value, hrnet_model.state_dict()[name])


@pytest.mark.parametrize('strict', [True, False])
def test_a_checkpoint_with_another_number_of_branches_is_refused_by_name(load, strict, hrnet_model):
    for branches in (2, 4):
        with pytest.raises(UserError, match='of another model') as caught:
            load(make_model(branches=branches), hrnet_model.state_dict(), strict)
        names = str(min(branches, 3))
        assert f'backbone.branches.{names}.stage4' in str(caught.value)
        assert 'model none' in str(caught.value) or 'checkpoint none' in str(caught.value)


@pytest.mark.parametrize('strict', [True, False])
def test_a_checkpoint_of_another_architecture_is_refused_by_name_and_shapes(load, strict):
    state = make_model('resnet').state_dict()
    wide = make_model('resnet', backbone=resnet(base_channels=16), head=head(128))
    with pytest.raises(UserError, match=r'\(checkpoint \(\d.*model \(\d') as caught:
        load(wide, state, strict)
    assert 'backbone.branches.0.layer4.0.bn1.bias' in str(caught.value)
    with pytest.raises(UserError, match='of another model: ') as caught:
        load(make_model(), state, strict)
    differ, total = map(int, re.search(r'(\d+) of (\d+) tensors', str(caught.value)).groups())
    assert differ <= total == len(make_model().state_dict().keys() | state.keys())


def test_a_checkpoint_with_another_split_is_refused(load):
    with pytest.raises(UserError, match='of another model.*backbone.branches.0'):
        load(make_model(split='stage2'), make_model(split='stage3').state_dict(), False)


@pytest.mark.parametrize('name', ['hrnet', 'resnet'])
def test_a_stock_checkpoint_goes_to_the_trunk_and_to_every_branch(load, name, messages):
    stock = shake(build(stock_model(name))).eval()
    model = make_model(name, symmetry_noise=0).eval()
    aggregator = copy.deepcopy(model.head.aggregator.state_dict())
    load(model, copy.deepcopy(stock.state_dict()), strict=False)
    for m in range(3):
        ours = student_weights(model, m)
        assert ours.keys() == stock.state_dict().keys()
        assert all(torch.equal(ours[key], value) for key, value in stock.state_dict().items())
    for key, value in model.head.aggregator.state_dict().items():
        assert torch.equal(value, aggregator[key])
    told = [message for message in messages if 'Stock checkpoint' in message]
    count = len(stock.state_dict())
    assert f'{count} of {count} tensors copied to the trunk and to 3 branches' in told[0]
    assert told[0].startswith('INFO: ')


def test_a_stock_checkpoint_with_other_keypoints_keeps_the_final_layers_as_initialized(
    load, messages
):
    stock = shake(build(stock_model(head=head(8, deconv=None, out_channels=5))))
    model = make_model()
    final = copy.deepcopy(model.head.branches[1].final_layer.state_dict())
    load(model, copy.deepcopy(stock.state_dict()), strict=False)
    ours = student_weights(model, 1)
    for name, value in stock.state_dict().items():
        if 'final_layer' in name:
            assert torch.equal(ours[name], final[name.rpartition('.')[2]])
        else:
            assert torch.equal(ours[name], value)
    told = next(message for message in messages if 'Stock checkpoint' in message)
    assert 'not used: head.final_layer.bias, head.final_layer.weight' in told
    assert 'kept as initialized: head.final_layer.bias, head.final_layer.weight' in told


def test_a_stock_checkpoint_of_which_little_fits_warns_in_few_words(load, messages):
    state = build(stock_model('resnet')).state_dict()
    load(make_model(), state, strict=False)
    told = next(message for message in messages if 'Stock checkpoint' in message)
    used, count = map(int, re.search(r'(\d+) of (\d+) tensors', told).groups())
    assert 0 < used < count / 2
    assert told.startswith('WARNING: ')
    unused = re.search('not used: (.*); kept', told)[1]
    assert unused.count(', ') == 2 and unused.endswith(f' and {count - used - 3} more')


def test_a_checkpoint_with_nothing_in_common_is_refused_with_a_name_from_either_side(load):
    stock = build(
        stock_model(
            backbone=dict(type='ShuffleNetV2', widen_factor=0.5),
            head=head(1024, deconv=(6, 6, 6), out_channels=3),
        )
    )
    state = {f'student.{name}': value for name, value in stock.state_dict().items()}
    with pytest.raises(UserError, match="nothing in common.*'student.backbone.*'backbone.conv1"):
        load(make_model(), state, strict=False)


def test_a_wrapped_model_loads_its_own_checkpoint_and_refuses_others(hrnet_model):
    """State dict of an averaged model of EMAHook, with names that begin with 'module.'."""
    wrapped = nn.ModuleDict(dict(module=make_model()))
    state = {f'module.{name}': value for name, value in hrnet_model.state_dict().items()}
    wrapped.load_state_dict(state, strict=True)
    with pytest.raises(UserError, match='of another model.*module.backbone.branches.2'):
        nn.ModuleDict(dict(module=make_model(branches=2))).load_state_dict(state)
