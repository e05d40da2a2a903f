"""Every split family, cut at every point, against the stock network."""

import copy
import itertools
from importlib.util import find_spec

import pytest
import torch
from common import INPUT_SIZE, hrnet, images, resnet, shake
from mmengine.config import ConfigDict
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.backbones import BranchedBackbone
from okdhp_mm.models.backbones.splits import split_points


def lite_hrnet(module_type='LITE', **extra):
    spec = dict(
        num_modules=(1, 1, 1),
        num_branches=(2, 3, 4),
        num_blocks=(1, 1, 1),
        module_type=(module_type,) * 3,
        with_fuse=(True, True, True),
        reduce_ratios=(2, 2, 2),
        num_channels=((8, 16), (8, 16, 32), (8, 16, 32, 64)),
    )
    stem = dict(stem_channels=8, out_channels=8, expand_ratio=1)
    extra = dict(stem=stem, num_stages=3, stages_spec=spec, with_head=True) | extra
    return dict(type='LiteHRNet', extra=extra)


def hrformer():
    """Turn off every drop path, because two networks would drop different ones."""
    config = hrnet(type='HRFormer')
    for branches in (2, 3, 4):
        config['extra'][f'stage{branches}'].update(
            block='HRFORMERBLOCK',
            window_sizes=(7,) * branches,
            num_heads=(1, 2, 4, 8)[:branches],
            mlp_ratios=(2,) * branches,
        )
    config['extra']['drop_path_rate'] = 0
    return config


def few_layers(count=3, **changes):
    """A ResNet of 50 layers without the last ones, which need larger images, or time."""
    return resnet(
        depth=50,
        num_stages=count,
        strides=(1, 2, 2)[:count],
        dilations=(1,) * count,
        out_indices=(count - 1,),
        **changes,
    )


def hourglass(num_stacks):
    """mmpose's, whose stem has 256 channels whatever is said."""
    return dict(
        type='HourglassNet',
        num_stacks=num_stacks,
        downsample_times=1,
        stage_channels=(256, 8),
        stage_blocks=(1, 1),
        feat_channel=8,
    )


VIPNAS_MOBILENET = dict(
    type='ViPNAS_MobileNetV3',
    wid=[8, 8, 16, 16],
    expan=[None, 1, 2, 2],
    dep=[None, 1, 2, 1],
    ks=[3, 3, 3, 3],
    group=[None, 8, 16, 16],
    att=[None, True, False, True],
    stride=[2, 1, 2, 2],
    act=['HSwish', 'ReLU', 'ReLU', 'HSwish'],
)
VIPNAS_RESNET = dict(
    type='ViPNAS_ResNet', depth=50, wid=[16, 16, 16, 32, 32], dep=[None, 1, 1, 1, 1]
)
CSPNEXT = dict(type='CSPNeXt', widen_factor=0.125, deepen_factor=0.1)

VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32),
    img_size=INPUT_SIZE,
    out_type='featmap',
    with_cls_token=False,
    patch_cfg=dict(padding=2),
)
NEEDS_MMPRETRAIN = pytest.mark.skipif(
    find_spec('mmpretrain') is None, reason='mmpretrain is not installed'
)

LAYERS = ['layer1', 'layer2', 'layer3', 'layer4']
STEM_AND_LAYERS = ['stem', *LAYERS[:3]]
NETWORKS = {
    'MobileNetV2': (
        dict(type='MobileNetV2', widen_factor=0.1, out_indices=(7,)),
        ['conv1', *LAYERS, 'layer5', 'layer6', 'layer7'],
    ),
    'MobileNetV2 with two outputs': (
        dict(type='MobileNetV2', widen_factor=0.1, out_indices=(2, 5)),
        ['layer2', 'layer3'],
    ),
    'MobileNetV3': (
        dict(type='MobileNetV3', arch='small', out_indices=(3, -1)),
        ['conv1', 'layer1', 'layer3', 'layer4', 'layer5', 'layer10'],
    ),
    'ViPNAS_MobileNetV3': (VIPNAS_MOBILENET, ['conv1', *LAYERS[:3]]),
    'ViPNAS_ResNet': (VIPNAS_RESNET, STEM_AND_LAYERS),
    'ShuffleNetV1': (
        dict(type='ShuffleNetV1', groups=1, out_indices=(0, 2)),
        ['stem', 'layer1', 'layer2'],
    ),
    'ShuffleNetV2': (
        dict(type='ShuffleNetV2', widen_factor=0.5, out_indices=(1, 3)),
        ['stem', 'layer1', 'layer2', 'layer3'],
    ),
    'LiteHRNet': (lite_hrnet(), ['stem', 'stage0', 'stage1', 'stage2']),
    'LiteHRNet without a head': (lite_hrnet(with_head=False), ['stage1']),
    'naive LiteHRNet': (lite_hrnet('NAIVE'), ['stage0', 'stage2']),
    'CSPNeXt': (CSPNEXT | dict(out_indices=(4,)), ['stem', 'stage1', 'stage2', 'stage3']),
    'CSPNeXt of mmdet': (CSPNEXT | dict(type='mmdet.CSPNeXt', out_indices=(4,)), ['stage2']),
    'CSPNeXt with two outputs': (CSPNEXT | dict(out_indices=(0, 4)), ['stem', 'stage2']),
    'SCNet': (few_layers(type='SCNet'), ['stem', 'layer1', 'layer2']),
    'ResNeXt': (few_layers(type='ResNeXt', groups=2, width_per_group=4), ['stem', 'layer1']),
    'SEResNeXt': (
        few_layers(type='SEResNeXt', groups=2, width_per_group=4, se_ratio=4),
        ['layer1', 'layer2'],
    ),
    'ResNetV1d': (resnet(type='ResNetV1d'), ['stem', 'layer2']),
    'ResNeSt': (few_layers(2, type='ResNeSt', base_channels=64), ['stem', 'layer1']),
    'StackedHourglass': (
        dict(type='StackedHourglass', num_stacks=3, num_keypoints=5, feat_channels=16, depth=2),
        ['stem', 'stack1', 'stack2'],
    ),
    'CPM': (
        dict(type='CPM', in_channels=3, out_channels=5, feat_channels=8, num_stages=3),
        ['stage1', 'stage2'],
    ),
    'HourglassNet': (hourglass(3), ['stem', 'stack1', 'stack2']),
    'HourglassNet of one stack': (hourglass(1), ['stem']),
    'HRFormer': (hrformer(), ['layer1', 'stage2', 'stage3']),
    'VisionTransformer': (VIT, ['stem', 'layer1', 'layer2']),
    'VisionTransformer with a token and two outputs': (
        VIT | dict(with_cls_token=True, out_indices=[0, 2], pre_norm=True),
        ['stem', 'layer2'],
    ),
    'VisionTransformer without a final norm': (
        VIT | dict(final_norm=False, out_type='raw', with_cls_token=True),
        ['layer1'],
    ),
    'VisionTransformer with one average': (VIT | dict(out_type='avg_featmap'), ['layer2']),
    'VisionTransformer for images of another size': (VIT | dict(img_size=(96, 64)), ['stem']),
}


def param(name, *others):
    marks = NEEDS_MMPRETRAIN if name.startswith('VisionTransformer') else ()
    return pytest.param(name, *others, marks=marks)


CUTS = [param(name, point) for name, (_, points) in NETWORKS.items() for point in points]


def build(config):
    return MODELS.build(copy.deepcopy(config))


def branched(config, point, branches=2):
    return BranchedBackbone([ConfigDict(copy.deepcopy(config)) for _ in range(branches)], point)


def stock_of(config, backbone, branch):
    trunk, top = backbone.trunk.state_dict(), backbone.branches[branch].state_dict()
    assert not trunk.keys() & top.keys(), 'trunk and branch own the same tensor'
    assert trunk.keys() and top.keys()
    stock = build(config)
    stock.load_state_dict(trunk | top, strict=True)
    return stock


def cut_with_stocks(name, point):
    """A backbone that is cut, and the stock networks of its branches."""
    config = NETWORKS[name][0]
    backbone = shake(branched(config, point))
    return backbone, [stock_of(config, backbone, m) for m in range(2)]


@pytest.mark.parametrize(('name', 'point'), CUTS)
@torch.no_grad()
def test_trunk_and_top_are_the_stock_forward_bit_for_bit(name, point):
    backbone, stocks = cut_with_stocks(name, point)
    for training in (False, True):
        backbone.train(training)
        # Both branches at once: a top that wrote into the shared tensors would spoil the other's.
        features = backbone(images()).branches
        for m, stock in enumerate(stocks):
            stock.train(training)  # which returns nothing in mmpose
            expected = stock(images())
            assert len(features[m]) == len(expected)
            assert all(map(torch.equal, features[m], expected))
            ours = backbone.trunk.state_dict() | backbone.branches[m].state_dict()
            assert all(torch.equal(value, ours[name]) for name, value in stock.state_dict().items())
        assert not torch.equal(features[0][-1], features[1][-1]), 'the branches differ'


def scaled_sum(features):
    """A loss that tells all outputs apart."""
    return sum((i + 1) * (maps**2).mean() for i, maps in enumerate(features))


@pytest.mark.parametrize('name', map(param, NETWORKS))
def test_gradients_are_those_of_the_stock_networks_and_add_up_in_the_trunk(name):
    points = NETWORKS[name][1]
    backbone, stocks = cut_with_stocks(name, points[len(points) // 2])
    backbone.double().train()
    inputs = images().double()
    features = backbone(inputs).branches
    sum(scaled_sum(branch) for branch in features.values()).backward()
    expected = []
    for stock in stocks:
        stock.double().train()
        scaled_sum(stock(inputs)).backward()
        expected.append({name: p.grad for name, p in stock.named_parameters()})
    # What the stock network never uses, e.g. layers above the last output, gets none here either.
    for name, parameter in backbone.trunk.named_parameters():
        total = sum(grads[name] for grads in expected)
        torch.testing.assert_close(parameter.grad, total, rtol=1e-6, atol=1e-9)
    for grads, top in zip(expected, backbone.branches, strict=True):
        for name, parameter in top.named_parameters():
            if grads[name] is None:
                assert parameter.grad is None
            else:
                torch.testing.assert_close(parameter.grad, grads[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('name', [param(n) for n in NETWORKS if ' ' not in n])
def test_the_points_told_are_all_points_there_are(name):
    config, points = NETWORKS[name]
    told = split_points(build(config))
    assert set(points) <= set(told)
    with pytest.raises(UserError, match=', '.join(f"'{point}'" for point in told)):
        branched(config, 'nowhere')


def test_a_network_without_a_family_has_no_points():
    assert split_points(build(dict(type='AlexNet'))) == []


FREEZING = {
    'MobileNetV2': ('layer3', 3),
    'MobileNetV3': ('layer4', 4),
    'ViPNAS_MobileNetV3': ('layer2', 2),
    'ViPNAS_ResNet': ('layer2', 2),
    'ShuffleNetV1': ('layer1', 1),
    'ShuffleNetV2': ('layer2', 2),
    'CSPNeXt': ('stage2', 2),
    'HRFormer': ('stage2', 1),
}


@pytest.mark.parametrize('name', FREEZING)
def test_frozen_stages_must_not_reach_into_the_branches(name):
    (config, _), (point, most) = NETWORKS[name], FREEZING[name]
    with pytest.raises(UserError, match=f'frozen_stages={most + 1} reaches.*at most {most} '):
        branched(config | dict(frozen_stages=most + 1), point)


@pytest.mark.parametrize('norm_eval', [False, True])
@pytest.mark.parametrize('name', [*FREEZING, 'LiteHRNet'])
def test_train_freezes_and_evaluates_exactly_what_stock_does(name, norm_eval):
    config = NETWORKS[name][0] | dict(norm_eval=norm_eval)
    point, frozen_stages = FREEZING.get(name, ('stage1', None))
    if frozen_stages is not None:
        config['frozen_stages'] = frozen_stages
    backbone, stock = branched(config, point).train(), build(config)
    stock.train()
    frozen = {name for name, p in stock.named_parameters() if not p.requires_grad}
    modes = {n: module.training for n, module in stock.named_modules() if n and '.' in n}
    assert bool(frozen) == (frozen_stages is not None)
    for top in backbone.branches:
        parameters = dict(backbone.trunk.named_parameters()) | dict(top.named_parameters())
        assert {name for name, p in parameters.items() if not p.requires_grad} == frozen
        modules = dict(backbone.trunk.named_modules()) | dict(top.named_modules())
        assert {n: modules[n].training for n in modes} == modes


@pytest.mark.parametrize('name', ['MobileNetV2', 'ShuffleNetV2', 'LiteHRNet', 'CSPNeXt'])
def test_branches_may_be_initialized_and_start_different(name):
    config, points = NETWORKS[name]
    backbone = branched(config, points[1])
    backbone.init_weights()
    first, second = (
        torch.cat([p.detach().flatten() for p in top.parameters()]) for top in backbone.branches
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize(('name', 'point'), CUTS)
def test_parts_share_nothing_and_their_random_weights_differ(name, point):
    backbone = branched(NETWORKS[name][0], point, branches=3)
    parts = [backbone.trunk, *backbone.branches]
    modules = [{id(module) for module in part.modules()} for part in parts]
    tensors = [{id(value) for value in part.state_dict(keep_vars=True).values()} for part in parts]
    for i, j in itertools.combinations(range(len(parts)), 2):
        assert not modules[i] & modules[j]
        assert not tensors[i] & tensors[j]
    for first, second in itertools.combinations(backbone.branches, 2):
        drawn = [
            (weight, second.get_parameter(name))
            for name, weight in first.named_parameters()
            if weight.dim() > 1 and weight.std() > 0
        ]
        assert drawn
        assert not any(torch.equal(one, other) for one, other in drawn)


def test_a_backbone_that_writes_into_its_config_can_be_shared_as_a_whole():
    backbone = branched(hrformer(), 'whole', branches=3).eval()
    assert len(backbone(images()).branches) == 3
