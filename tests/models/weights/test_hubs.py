"""Weights come from a file, or from the package that has the network."""

import sys
from types import SimpleNamespace

import pytest
import torch
import torchvision
from mmengine.config import ConfigDict

from okdhp_mm.errors import UserError
from okdhp_mm.models.weights.hubs import hub_name, read_weights

WIDE = dict(stage2=dict(num_channels=(48, 96)))


@pytest.mark.parametrize(
    ('source', 'backbone', 'name'),
    [
        ('torchvision', dict(type='ResNet', depth=18), 'resnet18'),
        ('timm', dict(type='ResNet', depth=50), 'resnet50'),
        ('torchvision', dict(type='MobileNetV2'), 'mobilenet_v2'),
        ('torchvision', dict(type='MobileNetV2', widen_factor=0.5), None),
        ('timm', dict(type='MobileNetV2', widen_factor=0.5), 'mobilenetv2_050'),
        ('torchvision', dict(type='ShuffleNetV2', widen_factor=0.5), 'shufflenet_v2_x0_5'),
        ('timm', dict(type='ShuffleNetV2'), None),
        ('timm', dict(type='HRNet', extra=WIDE), 'hrnet_w48'),
        ('torchvision', dict(type='HRNet', extra=WIDE), None),
        ('torchvision', dict(type='HourglassNet'), None),
    ],
)
def test_a_backbone_has_a_name_in_a_hub(source, backbone, name):
    assert hub_name(source, ConfigDict(backbone)) == name
    if name and source == 'torchvision':
        assert list(torchvision.models.get_model_weights(name))


def test_the_package_is_asked_for_pretrained_weights(monkeypatch):
    def create_model(name, pretrained):
        assert (name, pretrained) == ('resnet18', True)
        return torch.nn.Conv2d(1, 1, 1)

    monkeypatch.setitem(sys.modules, 'timm', SimpleNamespace(create_model=create_model))
    weights = read_weights('timm', ConfigDict(type='ResNet', depth=18))
    assert list(weights) == ['weight', 'bias']


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'timm', None)
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    for source in ('torchvision', 'timm'):
        sentence = rf'--pretrained {source}: the weights of resnet18 cannot be fetched. Download'
        with pytest.raises(UserError, match=sentence):
            read_weights(source, ConfigDict(type='ResNet', depth=18))
    with pytest.raises(UserError, match='HourglassNet has no known counterpart in timm. Give'):
        read_weights('timm', ConfigDict(type='HourglassNet'))
    with pytest.raises(UserError, match='none.pth does not exist'):
        read_weights('none.pth', ConfigDict(type='ResNet', depth=18))
