"""The feature map that the last layer of a branch turns into its heatmaps."""

import copy

import pytest
import torch
from common import CODEC, NUM_KEYPOINTS, build, head, make_model, okdhp_model, run, stock_model
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.heads.adapters import find_adapter
from okdhp_mm.models.heads.multi_branch_head import check_head_features
from okdhp_mm.structures import NetworkSpec

FUSION = dict(type='FeatureFusion')


@pytest.mark.parametrize('name', ['hrnet', 'resnet'])
def test_the_last_layer_of_every_branch_makes_its_heatmaps_of_the_head_features(name):
    model = make_model(name, aggregator=FUSION).eval()
    outputs = model.head.branch_outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    for m, feature in enumerate(outputs.head_features):
        expected = model.head.branches[m].final_layer(feature)
        assert torch.equal(expected, outputs.heatmaps[m][-1])


def test_the_last_layer_of_an_hourglass_is_in_its_backbone():
    config = okdhp_model(
        backbone=dict(type='StackedHourglass', num_stacks=2, num_keypoints=17, feat_channels=16),
        head=dict(
            type='CPMHead',
            in_channels=17,
            out_channels=17,
            num_stages=2,
            deconv_out_channels=None,
            final_layer=None,
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=okdhp_model().head.decoder,
        ),
        split='stack1',
        aggregator=FUSION,
    )
    model = build(config).eval()
    outputs = model.head.branch_outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    for m, feature in enumerate(outputs.head_features):
        score = model.backbone.branches[m].get_submodule('stacks.1.score')
        assert torch.equal(score(feature), outputs.heatmaps[m][-1])


@pytest.mark.parametrize('deployed', [1, 'ensemble'])
def test_a_forward_of_what_is_deployed_leaves_no_feature_behind(deployed):
    model = make_model(aggregator=FUSION, test_cfg=dict(branch=deployed, report='deployed'))
    model(torch.randn(2, 3, 64, 64), None, mode='tensor')
    copy.deepcopy(model)  # torch refuses tensors of a graph
    assert tensors_outside_the_state(model) == []


def tensors_outside_the_state(model):
    """Names of modules that keep a tensor as a plain attribute."""
    return [
        name
        for name, module in model.named_modules()
        if any(isinstance(value, torch.Tensor) for value in vars(module).values())
    ]


def test_a_training_step_leaves_no_feature_behind():
    model = make_model(aggregator=FUSION).train()
    run(model, 'loss')
    copy.deepcopy(model)
    assert tensors_outside_the_state(model) == []


def test_a_head_with_its_own_forward_has_none():
    class Head(HeatmapHead):
        def forward(self, feats):
            return super().forward(feats)

    stock = build(stock_model('hrnet')).head
    own = Head(8, NUM_KEYPOINTS, deconv_out_channels=None, decoder=CODEC)
    own.load_state_dict(stock.state_dict())
    features = (torch.randn(2, 8, 16, 16),)
    (expected,), below = find_adapter(stock).forward(features)
    assert below is features[-1]
    (maps,), below = find_adapter(own).forward(features)
    assert below is None
    assert torch.equal(maps, expected)


@pytest.mark.parametrize('changes', [{}, dict(conv_out_channels=(8,), conv_kernel_sizes=(3,))])
def test_an_adapter_runs_the_stock_forward_bit_for_bit(changes):
    stock = build(stock_model('resnet', head=head(64) | changes)).eval().head
    features = (torch.randn(2, 64, 2, 2),)
    (maps,), below = find_adapter(stock).forward(features)
    assert torch.equal(maps, stock(features))
    assert torch.equal(maps, stock.final_layer(below))


def test_a_head_without_a_last_layer_has_none():
    last = head(8, deconv=None, final_layer=None, out_channels=8)
    (maps,), below = find_adapter(MODELS.build(last)).forward((torch.randn(2, 8, 16, 16),))
    assert maps.shape == (2, 8, 16, 16)
    assert below is None


def test_nothing_is_kept_where_nobody_asks():
    model = make_model()
    outputs = model.head.branch_outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    assert outputs.head_features == ()


@pytest.mark.parametrize('shape', [None, (8,)])
def test_heatmaps_that_no_single_layer_makes_of_a_map_cannot_be_fused(shape):
    sizes = NetworkSpec(2, 17, 8, head_features=((8, 16, 16), shape))
    with pytest.raises(UserError, match='FeatureFusion needs the feature map that branch1'):
        check_head_features(sizes, 'FeatureFusion')


def test_features_of_different_size_cannot_be_fused():
    sizes = NetworkSpec(2, 17, 8, head_features=((8, 16, 16), (8, 8, 8)))
    with pytest.raises(UserError, match=r'of one size, but .* \[\(8, 16, 16\), \(8, 8, 8\)\]'):
        check_head_features(sizes, 'FeatureFusion')
