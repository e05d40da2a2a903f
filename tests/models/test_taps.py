"""The layer that makes the heatmaps."""

import copy

import pytest
import torch
from common import build, make_model, okdhp_model

from okdhp_mm.errors import UserError
from okdhp_mm.models.heads.multi_branch_head import check_penultimate
from okdhp_mm.models.taps import Tap, find_last_layer
from okdhp_mm.structures import Sizes

FUSION = dict(type='FeatureFusion')


def test_it_is_found_by_its_output():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 1), torch.nn.Identity()
    )
    image = torch.rand(1, 3, 6, 7)
    result, last = find_last_layer(network.modules(), lambda: network(image))
    assert last.layer is network[2]
    assert last.in_shape == (4, 6, 7)
    assert torch.equal(result, network(image))
    assert not any(module._forward_hooks for module in network.modules())


def test_there_may_be_none():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU())
    assert find_last_layer(network.modules(), lambda: network(torch.rand(1, 3, 6, 6)))[1] is None


def test_what_it_keeps_is_taken_once():
    layer = torch.nn.Conv2d(3, 4, 1)
    tap = Tap(layer)
    image = torch.rand(1, 3, 6, 6)
    layer(image)
    assert tap.take() is image
    assert tap.take() is None


@pytest.mark.parametrize('name', ['hrnet', 'resnet'])
def test_the_last_layer_of_every_branch_makes_its_heatmaps_of_the_penultimate_feature(name):
    model = make_model(name, aggregator=FUSION).eval()
    outputs = model.head.branch_outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    for m, feature in enumerate(outputs.penultimate):
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
    for m, feature in enumerate(outputs.penultimate):
        score = model.backbone.branches[m].get_submodule('stacks.1.score')
        assert torch.equal(score(feature), outputs.heatmaps[m][-1])


@pytest.mark.parametrize('deployed', [1, 'ensemble'])
def test_a_forward_of_what_is_deployed_leaves_no_feature_behind(deployed):
    model = make_model(aggregator=FUSION, test_cfg=dict(branch=deployed, report='deployed'))
    model(torch.randn(2, 3, 64, 64), None, mode='tensor')
    copy.deepcopy(model)  # torch refuses tensors of a graph
    assert [tap.take() for tap in model.head._taps] == [None] * 3


def test_nothing_is_kept_where_nobody_asks():
    model = make_model()
    outputs = model.head.branch_outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    assert outputs.penultimate == ()


@pytest.mark.parametrize('shape', [None, (8,)])
def test_heatmaps_that_no_single_layer_makes_of_a_map_cannot_be_fused(shape):
    sizes = Sizes(2, 17, 8, penultimate=((8, 16, 16), shape))
    with pytest.raises(UserError, match='FeatureFusion needs the feature map that branch1'):
        check_penultimate(sizes, 'FeatureFusion')


def test_features_of_different_size_cannot_be_fused():
    sizes = Sizes(2, 17, 8, penultimate=((8, 16, 16), (8, 8, 8)))
    with pytest.raises(UserError, match=r'of one size, but .* \[\(8, 16, 16\), \(8, 8, 8\)\]'):
        check_penultimate(sizes, 'FeatureFusion')
