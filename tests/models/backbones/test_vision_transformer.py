"""ViTPose's backbone as the stock network: frozen layers, pretrained weights, learning rates."""

import copy
from types import SimpleNamespace

import pytest
import torch
from common import INPUT_SIZE, build, head, images, okdhp_model, shake
from mmengine.config import ConfigDict
from mmpose.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

from okdhp_mm.errors import UserError
from okdhp_mm.models.backbones import BranchedBackbone
from okdhp_mm.models.backbones.splits import split_points
from okdhp_mm.models.state_names import student_name

pytest.importorskip('mmpretrain')

VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32),
    img_size=INPUT_SIZE,
    out_type='featmap',
    with_cls_token=False,
    patch_cfg=dict(padding=2),
)


def branched(point, **changes):
    config = ConfigDict(copy.deepcopy(VIT | changes))
    return BranchedBackbone([copy.deepcopy(config) for _ in range(2)], point)


def stock(**changes):
    return MODELS.build(copy.deepcopy(VIT | changes))


def parts_of(backbone, branch):
    """Return the parameters of trunk and branch by their stock names."""
    top = backbone.branches[branch]
    return dict(backbone.trunk.named_parameters()) | dict(top.named_parameters())


def test_frozen_stages_must_not_reach_into_the_branches():
    with pytest.raises(UserError, match='frozen_stages=2 reaches.*at most 1 '):
        branched('layer1', frozen_stages=2)


@pytest.mark.parametrize('frozen', [1, 2])
def test_the_layers_frozen_are_those_of_the_stock_network(frozen):
    network = stock(frozen_stages=frozen)
    expected = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert 'pos_embed' in expected and f'layers.{frozen - 1}.ln1.weight' in expected
    found = parts_of(branched('layer2', frozen_stages=frozen), 1)
    assert {name for name, p in found.items() if not p.requires_grad} == expected


@pytest.mark.parametrize('point', ['stem', 'layer2'])
@pytest.mark.parametrize('other', [dict(img_size=96), dict(with_cls_token=True)])
def test_other_pretrained_weights_load_as_in_the_stock_network(tmp_path, point, other):
    file = tmp_path / 'pretrained.pth'
    torch.save(shake(stock(**other)).state_dict(), file)
    init = dict(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    network, backbone = stock(**init), branched(point, **init)
    network.init_weights()
    backbone.init_weights()
    for branch in range(2):
        found = parts_of(backbone, branch)
        assert found.keys() == dict(network.named_parameters()).keys()
        for name, parameter in network.named_parameters():
            assert torch.equal(found[name], parameter), name


def test_weights_are_initialized_without_a_checkpoint():
    backbone = branched('layer1')
    backbone.init_weights()
    assert backbone.trunk.pos_embed.std() > 0
    assert backbone.branches[0].pos_embed is None
    features = backbone(images())
    assert features.shared.shape == (2, 16, 4, 4)


def test_branches_must_share_the_position_embedding():
    configs = [ConfigDict(copy.deepcopy(VIT | dict(img_size=size))) for size in (64, 96)]
    with pytest.raises(UserError, match=r'its pos_embed has shape \(1, 36, 16\), that of branch 0'):
        BranchedBackbone(configs, 'layer1')


def test_averages_of_several_layers_have_no_split():
    assert split_points(stock(out_type='avg_featmap', out_indices=[1, 2])) == []


def rates(constructor, model):
    built = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=constructor,
            optim_wrapper_cfg=dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1)),
            paramwise_cfg=dict(num_layers=3, layer_decay_rate=0.5),
        )
    )(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in built.optimizer.param_groups
        for parameter in group['params']
    }


def test_every_layer_learns_as_in_the_stock_network():
    parts = dict(backbone=ConfigDict(VIT), head=head(16, deconv=(8, 8)))
    config = okdhp_model('resnet', **parts, split='layer2')
    network = build(config)
    plain = SimpleNamespace(**config)
    expected = rates(
        'LayerDecayOptimWrapperConstructor',
        build(dict(type='TopdownPoseEstimator', backbone=plain.backbone, head=plain.head)),
    )
    found = rates('BranchLayerDecayOptimWrapperConstructor', network)
    compared = set()
    for name, rate in found.items():
        if owner := student_name(name):
            assert rate == expected[owner[1]], name
            compared.add(owner[1])
    assert compared == expected.keys()
    assert found['backbone.trunk.pos_embed'] == (0.5**4, 0.0)
