"""Deconvolutions as convolutions."""

import pytest
import torch
from common import shake
from torch import nn

from okdhp_mm.deploy.deconvolution import without_deconvolutions


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('normed', [False, True])
def test_deconvolutions_become_convolutions(bias, normed):
    layers = [nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=bias), nn.ReLU()]
    if normed:
        layers.insert(1, nn.BatchNorm2d(3))
    stock = shake(nn.Sequential(nn.Conv2d(2, 5, 1), nn.Sequential(*layers))).eval()
    graph = without_deconvolutions(stock)
    assert not any(isinstance(m, (nn.ConvTranspose2d, nn.BatchNorm2d)) for m in graph.modules())
    features = torch.randn(2, 2, 6, 4)
    assert torch.allclose(graph(features), stock(features), atol=1e-5)
    assert isinstance(stock[1][0], nn.ConvTranspose2d), 'the student itself stays'


@pytest.mark.parametrize('settings', [dict(kernel_size=2, stride=2), dict(kernel_size=4, stride=2)])
def test_other_deconvolutions_stay(settings):
    stock = nn.Sequential(nn.ConvTranspose2d(5, 3, **settings))
    assert isinstance(without_deconvolutions(stock)[0], nn.ConvTranspose2d)
