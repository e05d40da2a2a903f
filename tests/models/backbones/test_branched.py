"""Trunk and branches: stock backbones with parts left out."""

import copy
from dataclasses import asdict

import pytest
import torch
from common import hrnet, images, resnet, shake
from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import safe_loader
from okdhp_mm.models.backbones import BranchedBackbone


def all_resolutions():
    config = hrnet()
    config['extra']['stage4']['multiscale_output'] = True
    return config


FAMILIES = {
    'HRNet': (hrnet(), ['layer1', 'stage2', 'stage3']),
    'HRNet with all resolutions': (all_resolutions(), ['stage2']),
    'ResNet': (resnet(), ['stem', 'layer1', 'layer2', 'layer3']),
    'ResNet with all layers': (resnet(out_indices=(0, 1, 2, 3)), ['layer1']),
    'ResNet of three layers': (
        resnet(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(1, 2)),
        ['layer2'],
    ),
    'ResNetV1d': (resnet(type='ResNetV1d'), ['stem']),
    'ResNeXt': (resnet(type='ResNeXt', depth=50, groups=2, width_per_group=4), ['layer2']),
    'SEResNet': (resnet(type='SEResNet', depth=50, se_ratio=4), ['layer3']),
}
CUTS = [(name, point) for name, (_, points) in FAMILIES.items() for point in points]
OTHERS = {
    'MobileNetV2': dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
    'ShuffleNetV2': dict(type='ShuffleNetV2', widen_factor=0.5),
}


def build(config, **changes):
    return MODELS.build(copy.deepcopy(config) | changes)


def branched(config, split, branches=2, **changes):
    configs = [ConfigDict(copy.deepcopy(config)) for _ in range(branches)]
    return BranchedBackbone(configs, split, **changes)


def weights_of(backbone, branch):
    """Return the weights of a branch's student."""
    trunk, top = backbone.trunk.state_dict(), backbone.branches[branch].state_dict()
    assert not trunk.keys() & top.keys(), 'trunk and branch own the same tensor'
    return trunk | top


def stock_of(config, backbone, branch, training=False):
    stock = build(config)
    stock.load_state_dict(weights_of(backbone, branch), strict=True)
    stock.train(training)  # which returns nothing in mmpose
    return stock


@pytest.fixture(scope='module', params=CUTS, ids=lambda cut: f'{cut[0]} after {cut[1]}')
def cut(request):
    name, point = request.param
    config = FAMILIES[name][0]
    return config, shake(branched(config, point))


# ----------------------------------------------------------------------- equal to stock


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_trunk_and_top_together_are_the_stock_forward_bit_for_bit(cut, training):
    config, backbone = cut
    backbone.train(training)
    stocks = [stock_of(config, backbone, m, training) for m in range(2)]
    # Both branches at once: a top that wrote into the shared tensors would spoil the other's.
    with torch.no_grad():
        features = backbone(images()).branches
        for m, stock in enumerate(stocks):
            expected = stock(images())
            assert isinstance(features[m], tuple)
            assert len(features[m]) == len(expected)
            assert all(map(torch.equal, features[m], expected))
    assert not torch.equal(features[0][-1], features[1][-1]), 'the branches differ'


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_the_tops_leave_the_shared_feature_as_the_trunk_made_it(cut, training):
    _, backbone = cut
    backbone.train(training)
    with torch.no_grad():
        alone = backbone(images(), branches=[]).shared
        assert torch.equal(backbone(images()).shared, alone)


def test_after_a_training_step_the_statistics_equal_those_of_the_stock_networks(cut):
    config, backbone = cut
    stocks = [stock_of(config, backbone, m, training=True) for m in range(2)]
    backbone.train()(images())
    for m, stock in enumerate(stocks):
        stock(images())
        ours = weights_of(backbone, m)
        assert all(torch.equal(value, ours[name]) for name, value in stock.state_dict().items())


def test_the_union_of_trunk_and_branch_is_the_stock_state(cut):
    config, backbone = cut
    stock = build(config).state_dict()
    for m in range(2):
        ours = weights_of(backbone, m)
        assert ours.keys() == stock.keys()
        assert all(ours[name].shape == value.shape for name, value in stock.items())
    assert backbone.trunk.state_dict() and backbone.branches[0].state_dict()


def test_every_parameter_of_trunk_and_branches_gets_a_gradient(cut):
    _, backbone = cut
    backbone.zero_grad(set_to_none=True)
    features = backbone.train()(images()).branches
    sum((maps**2).mean() for branch in features.values() for maps in branch).backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


def test_the_trunk_runs_once_for_all_branches_and_only_the_wanted_tops_run(cut):
    _, backbone = cut
    calls = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    features = backbone.eval()(images(), branches=[1])
    assert list(features.branches) == [1]
    assert not any(name.startswith('branches.0.') for name in calls)
    assert any(name.startswith('branches.1.') for name in calls)
    calls.clear()
    backbone(images())
    assert len(calls) == len(set(calls)) == len(hooks), 'everything runs, nothing twice'
    for hook in hooks:
        hook.remove()


def test_the_shared_feature_is_the_trunks_with_the_highest_resolution(cut):
    config, backbone = cut
    shared = backbone.eval()(images()).shared
    assert shared.shape[0] == 2
    highest = 16 if config['type'] == 'HRNet' else shared.shape[-1]
    assert shared.shape[-1] == highest


@pytest.mark.parametrize('name', OTHERS)
def test_any_backbone_can_be_shared_as_a_whole(name):
    backbone = shake(branched(OTHERS[name], 'whole', branches=3)).eval()
    stock = build(OTHERS[name])
    stock.eval()
    stock.load_state_dict(backbone.trunk.state_dict(), strict=True)
    with torch.no_grad():
        features = backbone(images())
        expected = stock(images())
    assert len(backbone.branches.state_dict()) == 0
    assert list(features.branches) == [0, 1, 2]
    assert all(torch.equal(branch[-1], expected[-1]) for branch in features.branches.values())
    assert torch.equal(features.shared, expected[-1])


def test_example_features_have_all_shapes_but_run_one_of_the_equal_tops(cut):
    _, backbone = cut
    backbone.eval()
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, m=m: ran.append(m))
        for m, top in enumerate(backbone.branches)
        for layer in top.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    with torch.no_grad():
        example = backbone.example_features(images())
        for hook in hooks:
            hook.remove()
        all_features = backbone(images())
    assert set(ran) == {0}
    shapes, expected = (
        tree_map_only(Tensor, lambda x: x.shape, asdict(features))
        for features in (example, all_features)
    )
    assert shapes == expected


# -------------------------------------------------------------------- different branches


def test_a_later_branch_is_a_copy_of_any_equal_one_with_weights_of_its_own():
    deeper = hrnet()
    deeper['extra']['stage4']['num_modules'] = 2
    configs = [ConfigDict(config) for config in (hrnet(), deeper, deeper, hrnet())]
    backbone = BranchedBackbone(configs, 'stage3').eval()
    with torch.no_grad():
        features = backbone(images()).branches
        example = backbone.example_features(images()).branches
        for m, config in enumerate(configs):
            assert torch.equal(features[m][0], stock_of(config, backbone, m)(images())[0])
            for other in range(m):
                assert not torch.equal(features[m][0], features[other][0])
    assert list(example) == [0, 1, 2, 3]
    assert torch.equal(example[2][0], features[1][0])
    assert torch.equal(example[3][0], features[0][0])


def test_branches_may_differ_in_depth_above_the_split():
    deeper = hrnet()
    deeper['extra']['stage4']['num_modules'] = 2
    configs = [ConfigDict(hrnet()), ConfigDict(deeper)]
    backbone = shake(BranchedBackbone(copy.deepcopy(configs), 'stage3')).eval()
    with torch.no_grad():
        features = backbone(images()).branches
        for m, config in enumerate(configs):
            stock = stock_of(config, backbone, m)
            assert torch.equal(features[m][0], stock(images())[0])


def test_branches_whose_trunks_differ_are_refused_with_the_tensor_and_both_shapes():
    wide = ConfigDict(resnet(base_channels=16))
    sentence = r'branch 1 .* its \S+ has shape \(16,.*branch 0 has \(8,.*above the split'
    with pytest.raises(UserError, match=sentence):
        BranchedBackbone([ConfigDict(resnet()), wide], 'layer2')


@pytest.mark.parametrize('depths', [(18, 34), (34, 18)])
def test_branches_whose_trunks_differ_in_depth_are_refused(depths):
    configs = [ConfigDict(resnet(depth=depth)) for depth in depths]
    with pytest.raises(
        UserError, match='branch 1 cannot share the trunk: its layer1.2.conv1.weight'
    ):
        BranchedBackbone(configs, 'layer2')


def test_branches_whose_trunks_differ_in_strides_are_refused():
    configs = [ConfigDict(resnet()), ConfigDict(resnet(strides=(1, 1, 2, 2)))]
    with pytest.raises(UserError, match='branch 1 cannot share the trunk: its layer2 has equal'):
        BranchedBackbone(configs, 'layer2')


def test_no_branch_can_change_a_backbone_that_is_shared_as_a_whole():
    with pytest.raises(UserError, match="split='whole' shares the backbone"):
        BranchedBackbone([ConfigDict(resnet()), ConfigDict(resnet(depth=34))], 'whole')


# ---------------------------------------------------------------------------- split points


def test_an_unknown_split_point_is_refused_with_the_valid_ones():
    with pytest.raises(UserError, match="'layer1', 'stage2', 'stage3', 'whole'"):
        branched(hrnet(), 'stage7')
    with pytest.raises(UserError, match="'stem', 'layer1', 'layer2', 'layer3', 'whole'"):
        branched(resnet(), 'stage3')


@pytest.mark.parametrize(('config', 'last'), [(hrnet(), 'stage4'), (resnet(), 'layer4')])
def test_the_last_step_is_no_split_point_for_nothing_would_be_left(config, last):
    with pytest.raises(UserError, match=f"split='{last}' is not a split point"):
        branched(config, last)


def test_a_family_that_nobody_can_cut_is_told_of_whole():
    with pytest.raises(UserError, match="AlexNet has no split points.*split='whole'"):
        branched(dict(type='AlexNet'), 'layer2')


def test_a_backbone_with_a_forward_of_its_own_is_not_cut_like_its_parent():
    with pytest.raises(UserError, match="RegNet has no split points.*split='whole'"):
        branched(dict(type='RegNet', arch='regnetx_400mf'), 'layer2')


# ---------------------------------------------------------------------------------- frozen


@pytest.mark.parametrize(
    ('config', 'split', 'most'),
    [
        (hrnet(), 'layer1', 0),
        (hrnet(), 'stage3', 2),
        (resnet(), 'stem', 0),
        (resnet(), 'layer2', 2),
    ],
)
def test_frozen_stages_must_not_reach_into_the_branches(config, split, most):
    branched(config | dict(frozen_stages=most), split)
    with pytest.raises(UserError, match=f'frozen_stages={most + 1} reaches.*at most {most} '):
        branched(config | dict(frozen_stages=most + 1), split)


@pytest.mark.parametrize(('config', 'split'), [(hrnet(), 'stage3'), (resnet(), 'layer3')])
@pytest.mark.parametrize('settings', [dict(frozen_stages=2), dict(norm_eval=True), dict()])
def test_train_freezes_and_evaluates_exactly_what_stock_does(config, split, settings):
    config = config | settings
    backbone = branched(config, split).train()
    stock = build(config)
    stock.train()
    for m in range(2):
        ours = dict(backbone.trunk.named_parameters()) | dict(
            backbone.branches[m].named_parameters()
        )
        frozen = {name for name, p in stock.named_parameters() if not p.requires_grad}
        assert {name for name, p in ours.items() if not p.requires_grad} == frozen
        assert bool(frozen) == ('frozen_stages' in settings)
        ours = dict(backbone.trunk.named_modules()) | dict(backbone.branches[m].named_modules())
        norms = {
            n: mod.training for n, mod in stock.named_modules() if 'Norm' in type(mod).__name__
        }
        assert {name: ours[name].training for name in norms} == norms


# ------------------------------------------------------------------------------ pretrained


@pytest.fixture
def weights_file(tmp_path):
    def save(config, prefix='', **extra):
        state = shake(build(config)).state_dict()
        file = tmp_path / f'{config["type"]}.pth'
        torch.save(
            dict(state_dict={prefix + n: v for n, v in state.items()} | extra, meta={}), file
        )
        return file, state

    return save


def pretrained(file, **options):
    return dict(type='Pretrained', checkpoint=str(file), **options)


@pytest.mark.parametrize(
    ('config', 'split'), [(hrnet(), 'stage3'), (resnet(), 'layer2'), (resnet(), 'whole')]
)
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_pretrained_weights_go_to_the_trunk_and_to_every_branch(
    weights_file, config, split, prefix
):
    file, state = weights_file(config, prefix, **{'fc.weight': torch.rand(3, 3)})
    options = dict(prefix=prefix) if prefix else {}
    backbone = branched(config | dict(init_cfg=pretrained(file, **options)), split, branches=3)
    backbone.init_weights()
    for m in range(3):
        ours = weights_of(backbone, m)
        assert all(torch.equal(ours[name], value) for name, value in state.items())


def test_loading_pretrained_weights_equals_what_the_stock_backbone_does(weights_file):
    file, _ = weights_file(resnet())
    config = resnet(init_cfg=pretrained(file))
    stock, backbone = build(config), branched(config, 'layer2')
    stock.init_weights()
    backbone.init_weights()
    assert all(
        torch.equal(value, weights_of(backbone, 1)[name])
        for name, value in stock.state_dict().items()
    )


def test_several_initializations_may_stand_in_a_tuple(weights_file):
    file, state = weights_file(resnet())
    zeros = dict(type='Constant', layer='Conv2d', val=0)
    backbone = branched(resnet(init_cfg=(pretrained(file), zeros)), 'layer2')
    backbone.init_weights()
    ours = weights_of(backbone, 1)
    assert all(torch.equal(ours[name], value) for name, value in state.items())


PVT = dict(
    type='PyramidVisionTransformer',
    embed_dims=8,
    num_layers=[1, 1, 1, 1],
    num_heads=[1, 1, 1, 1],
    mlp_ratios=[1, 1, 1, 1],
)


def official(name):
    """The name that PVT's authors have for a tensor of one layer per stage."""
    stage, name = int(name.split('.')[1]) + 1, name.split('.', 2)[2]
    for ours, theirs in {
        '1.0.pos_embed': f'pos_embed{stage}',
        '0.projection': f'patch_embed{stage}.proj',
        '0.norm': f'patch_embed{stage}.norm',
        '1.1': f'block{stage}.0',
        'ffn.layers.0': 'mlp.fc1',
        'ffn.layers.3': 'mlp.fc2',
        'attn.attn.in_proj_': 'attn.q.',
        'attn.attn.out_proj': 'attn.proj',
    }.items():
        name = name.replace(ours, theirs)
    return name


def test_a_whole_backbone_converts_what_it_loads_as_stock_does(tmp_path):
    file = tmp_path / 'pvt.pth'
    theirs = {}
    for name, value in shake(build(PVT)).state_dict().items():
        value = value.squeeze() if 'fc' in official(name) else value
        theirs[official(name)] = value
        if '.attn.q.' in official(name):
            first, *others = value.chunk(3)
            theirs[official(name)] = first
            theirs[official(name).replace('.q.', '.kv.')] = torch.cat(others)
    torch.save(theirs, file)
    stock = build(PVT, init_cfg=pretrained(file))
    stock.init_weights()
    backbone = branched(PVT | dict(init_cfg=pretrained(file)), 'whole')
    backbone.init_weights()
    loaded = backbone.trunk.state_dict()
    assert all(torch.equal(loaded[name], v) for name, v in stock.state_dict().items())
    assert torch.equal(loaded['layers.3.1.1.norm1.weight'], theirs['block4.0.norm1.weight'])


def test_the_hooks_of_a_whole_backbone_see_what_is_loaded(weights_file):
    """Hook that resizes the position embedding of a ViT."""
    file, state = weights_file(resnet())
    wide = state | {'conv1.weight': state['conv1.weight'].repeat(2, 1, 1, 1)}
    torch.save(wide, file)
    backbone = branched(resnet(init_cfg=pretrained(file)), 'whole')
    backbone.trunk.register_load_state_dict_pre_hook(
        lambda module, given, prefix, *_: given.update(
            {f'{prefix}conv1.weight': given[f'{prefix}conv1.weight'][:8]}
        )
    )
    backbone.init_weights()
    loaded = backbone.trunk.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_weights_of_another_width_above_leave_those_as_initialized(weights_file):
    file, state = weights_file(resnet())
    state.pop('layer4.0.conv1.weight')
    torch.save(state, file)
    backbone = branched(resnet(init_cfg=pretrained(file)), 'layer3')
    backbone.init_weights()
    ours = weights_of(backbone, 1)
    assert all(torch.equal(ours[name], value) for name, value in state.items())
    assert ours['layer4.0.conv1.weight'].any()


def test_without_pretrained_weights_the_branches_start_different():
    backbone = branched(hrnet(), 'stage3')
    backbone.init_weights()
    first, second = (next(iter(weights.parameters())) for weights in backbone.branches)
    assert not torch.equal(first, second)


def test_a_second_initialization_changes_nothing_as_in_every_mmengine_module(weights_file):
    file, _ = weights_file(resnet())
    backbone = branched(resnet(init_cfg=pretrained(file)), 'layer2')
    backbone.init_weights()
    with torch.no_grad():
        backbone.trunk.conv1.weight.fill_(7)
    backbone.init_weights()
    assert (backbone.trunk.conv1.weight == 7).all()


@pytest.mark.parametrize(
    'source',
    [
        'nowhere/resnet18.pth',
        'http://127.0.0.1:9/resnet18.pth',  # no server listens at the discard port
        'torchvision://resnet19',
    ],
)
@pytest.mark.parametrize('split', ['layer2', 'whole'])
def test_pretrained_weights_out_of_reach_end_in_a_sentence_with_both_ways_out(source, split):
    backbone = branched(resnet(init_cfg=pretrained(source)), split)
    with pytest.raises(UserError, match='Cannot get') as caught:
        backbone.init_weights()
    sentence = str(caught.value)
    assert source in sentence
    assert 'init_cfg.checkpoint' in sentence
    assert '--from-scratch' in sentence


@pytest.mark.parametrize('split', ['layer2', 'whole'])
def test_weights_that_are_refused_are_not_advised_to_be_fetched_again(tmp_path, split):
    class Hostile:
        def __reduce__(self):
            return print, ('it was run',)

    torch.save(dict(state_dict=Hostile()), tmp_path / 'hostile.pth')
    backbone = branched(resnet(init_cfg=pretrained(tmp_path / 'hostile.pth')), split)
    with safe_loader(), pytest.raises(UserError, match='is refused') as caught:
        backbone.init_weights()
    assert 'download' not in str(caught.value)


def test_a_missing_file_has_both_ways_out_by_the_safe_loader_as_well():
    backbone = branched(resnet(init_cfg=pretrained('nowhere/resnet18.pth')), 'layer2')
    with safe_loader(), pytest.raises(UserError, match='Cannot get.*--from-scratch'):
        backbone.init_weights()


def test_a_broken_weights_file_ends_in_the_same_sentence(tmp_path):
    file = tmp_path / 'broken.pth'
    file.write_bytes(b'PK\x03\x04 not a checkpoint')
    backbone = branched(resnet(init_cfg=pretrained(file)), 'layer2')
    with pytest.raises(UserError, match='Cannot get.*init_cfg.checkpoint.*--from-scratch'):
        backbone.init_weights()


def test_weights_of_which_none_fits_are_refused_with_a_name_from_either_side(weights_file):
    file, _ = weights_file(dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)))
    backbone = branched(hrnet(init_cfg=pretrained(file)), 'stage2')
    with pytest.raises(UserError, match="None of the weights.*fits a HRNet.*'conv1.*needed is"):
        backbone.init_weights()


# ------------------------------------------------------------------- gradients at the split

STATES = {'ResNet': 'layer2', 'HRNet': 'stage3', 'ResNet with all layers': 'layer1'}


def trunk_gradients(config, split, trunk_grad, branches=(0, 1, 2)):
    torch.manual_seed(0)
    backbone = branched(config, split, 3, trunk_grad=trunk_grad).eval()
    features = backbone(images(), branches)
    sum(feature.square().sum() for m in branches for feature in features.branches[m]).backward()
    return backbone, features


@pytest.mark.parametrize('name', STATES)
def test_the_trunk_learns_by_the_mean_of_the_branches_gradients_or_by_their_sum(name):
    config, split = FAMILIES[name][0], STATES[name]
    summed, _ = trunk_gradients(config, split, 'sum')
    mean, _ = trunk_gradients(config, split, 'mean')
    for whole, third in zip(summed.trunk.parameters(), mean.trunk.parameters(), strict=True):
        expected = whole.grad / 3
        # Sums in another order: single entries are as exact as the largest one.
        rounding = 1e-3 * expected.abs().max().item()
        torch.testing.assert_close(third.grad, expected, rtol=1e-3, atol=rounding)
    for ours, theirs in zip(summed.branches.parameters(), mean.branches.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize('split', ['whole', 'layer3'])
def test_rescaled_gradients_leave_the_features_as_they_are(split):
    _, summed = trunk_gradients(resnet(), split, 'sum')
    _, mean = trunk_gradients(resnet(), split, 'mean')
    for m in range(3):
        assert torch.equal(summed.branches[m][-1], mean.branches[m][-1])


def test_what_learns_from_the_shared_feature_itself_is_not_rescaled():
    gradients = []
    for trunk_grad in ('sum', 'mean'):
        torch.manual_seed(0)
        backbone = branched(resnet(), 'layer3', 3, trunk_grad=trunk_grad).eval()
        backbone(images()).shared.square().sum().backward()
        gradients.append([p.grad for p in backbone.trunk.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_trunks_own_heatmaps_are_not_rescaled():
    config = dict(type='StackedHourglass', num_stacks=3, num_keypoints=5, feat_channels=8, depth=2)
    gradients = []
    for trunk_grad in ('sum', 'mean'):
        torch.manual_seed(0)
        backbone = branched(config, 'stack1', 3, trunk_grad=trunk_grad).eval()
        features = backbone(images())
        assert features.trunk_stages == 1
        assert len(features.branches[0]) == 3
        features.branches[0][0].square().sum().backward()
        gradients.append([p.grad for p in backbone.trunk.parameters()])
    assert any(gradient is not None and gradient.any() for gradient in gradients[0])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_an_unknown_way_of_gradients_is_refused():
    with pytest.raises(UserError, match=r"trunk_grad='max' is not one of \('sum', 'mean'\)"):
        branched(resnet(), 'layer3', trunk_grad='max')
