"""The fusion of features."""

import pytest
import torch
import torch.nn.functional as F

from okdhp_mm.errors import UserError
from okdhp_mm.models.aggregators import FeatureFusion

B, M, K, C = 2, 3, 5, 8


def test_it_is_the_papers_two_convolutions_and_one_that_makes_heatmaps(outputs):
    torch.manual_seed(0)
    fusion = FeatureFusion(C, M, K, branch_channels=(C,) * M).eval()
    depthwise, norm, _, pointwise, second_norm, _, score = fusion.fuse
    x = torch.cat(outputs.head_features, 1)
    maps = [F.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], padding=1) for c in range(M * C)]
    x = F.relu(norm(torch.cat(maps, 1)))
    x = F.relu(second_norm(torch.einsum('oc,bchw->bohw', pointwise.weight[..., 0, 0], x)))
    expected = torch.einsum('kc,bchw->bkhw', score.weight[..., 0, 0], x)
    expected = expected + score.bias[:, None, None]
    torch.testing.assert_close(fusion.aggregate(outputs).ensemble, expected, rtol=1e-4, atol=1e-5)


def test_features_of_different_width_are_fused():
    features = tuple(torch.randn(B, channels, 16, 12) for channels in (4, 6))
    fusion = FeatureFusion(C, 2, K, branch_channels=(4, 6))
    assert fusion.fuse(torch.cat(features, 1)).shape == (B, K, 16, 12)
    assert fusion.fuse[3].out_channels == 6


def test_every_parameter_learns(outputs):
    fusion = FeatureFusion(C, M, K, branch_channels=(C,) * M)
    fusion.init_weights()
    fusion.aggregate(outputs).ensemble.square().sum().backward()
    assert all(parameter.grad.any() for parameter in fusion.parameters())


def test_no_width_is_refused():
    with pytest.raises(UserError, match='mid_channels=0 must be at least 1'):
        FeatureFusion(C, M, K, branch_channels=(C,) * M, mid_channels=0)


def test_one_initialization_may_stand_without_a_list():
    config = dict(type='Constant', layer='Conv2d', val=0.5)
    fusion = FeatureFusion(C, M, K, branch_channels=(C,) * M, init_cfg=config)
    fusion.init_weights()
    assert (fusion.fuse[3].weight == 0.5).all()
