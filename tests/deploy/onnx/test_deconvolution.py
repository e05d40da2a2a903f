"""Deconvolutions as convolutions."""

import pytest
import torch
from common import CODEC, head, shake
from mmpose.registry import MODELS
from torch import nn

from okdhp_mm.deploy.onnx.deconvolution import FourConvolutions, without_deconvolutions


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('normed', [False, True])
def test_deconvolutions_become_convolutions(bias, normed):
    layers = [nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=bias), nn.ReLU()]
    if normed:
        layers.insert(1, nn.BatchNorm2d(3))
    stock = shake(nn.Sequential(nn.Conv2d(2, 5, 1), nn.Sequential(*layers))).eval()
    graph = without_deconvolutions(stock)
    assert [type(layer) for layer in graph[1]] == [FourConvolutions]
    features = torch.randn(2, 2, 6, 4)
    assert torch.allclose(graph(features), stock(features), atol=1e-5)
    assert isinstance(stock[1][0], nn.ConvTranspose2d), 'the student itself stays'


@pytest.mark.parametrize(
    'changes, after',
    [
        (dict(), []),
        (dict(final_layer=dict(kernel_size=3, padding=1)), [nn.Conv2d]),
        (dict(conv_out_channels=(8,), conv_kernel_sizes=(1,)), []),
        (
            dict(conv_out_channels=(8,), conv_kernel_sizes=(3,)),
            [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d],
        ),
    ],
    ids=['plain', 'wide last layer', 'convolution of 1', 'convolution of 3'],
)
def test_pointwise_layers_of_a_head_act_before_the_interleaving(changes, after):
    stock = shake(MODELS.build(head(5, CODEC, deconv=(6, 4), **changes))).eval()
    graph = without_deconvolutions(stock)
    assert [type(layer) for layer in graph.deconv_layers] == [FourConvolutions] * 2 + after
    features = (torch.randn(2, 5, 6, 4),)
    assert torch.allclose(graph(features), stock(features), atol=1e-5)


def test_a_head_without_deconvolutions_stays():
    stock = shake(MODELS.build(head(5, CODEC, deconv=None))).eval()
    features = (torch.randn(2, 5, 6, 4),)
    assert torch.equal(without_deconvolutions(stock)(features), stock(features))


@pytest.mark.parametrize('settings', [dict(kernel_size=2, stride=2), dict(kernel_size=4, stride=2)])
def test_other_deconvolutions_stay(settings):
    stock = nn.Sequential(nn.ConvTranspose2d(5, 3, **settings))
    assert isinstance(without_deconvolutions(stock)[0], nn.ConvTranspose2d)
