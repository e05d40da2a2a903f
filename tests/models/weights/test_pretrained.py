"""Weights of torchvision and mmpose fit backbones of mmpose, whatever their names are."""

import pytest
import torch
import torchvision
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.weights.pretrained import match_weights

NETWORKS = {
    'mobilenet_v2': (
        dict(type='MobileNetV2', widen_factor=1.0, out_indices=(7,)),
        lambda network: network.features,
    ),
    'resnet18': (
        dict(type='ResNet', depth=18),
        lambda network: torch.nn.Sequential(*list(network.children())[:-2]),
    ),
    'shufflenet_v2_x1_0': (
        dict(type='ShuffleNetV2', widen_factor=1.0, out_indices=(3,)),
        lambda network: torch.nn.Sequential(*list(network.children())[:-1]),
    ),
}


def randomized(network):
    """The network with other statistics and weights in every batch norm."""
    for name, tensor in network.state_dict().items():
        if tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5) if 'var' in name or 'weight' in name else tensor.normal_()
    return network.eval()


@pytest.mark.parametrize('name', NETWORKS)
def test_torchvisions_network_and_mmposes_compute_the_same(name):
    config, features = NETWORKS[name]
    theirs = randomized(torchvision.models.get_model(name))
    ours = MODELS.build(config)
    ours.eval()
    found = match_weights(ours, theirs.state_dict())
    assert len(found.state_dict) == found.total
    assert found.missing == []
    # Only the classifier is left over.
    assert len(found.unused) == 2
    ours.load_state_dict(found.state_dict, strict=False)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        (map_,) = ours(images)
        expected = features(theirs)(images)
    assert expected.std() > 0
    torch.testing.assert_close(map_, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
def test_checkpoints_of_mmpose_fit_by_name(prefix):
    backbone = MODELS.build(NETWORKS['mobilenet_v2'][0])
    state = {f'{prefix}{name}': tensor for name, tensor in backbone.state_dict().items()}
    if prefix:
        state['head.final_layer.weight'] = torch.zeros(1)
    found = match_weights(backbone, state)
    assert found.rule == 'name'
    assert len(found.state_dict) == found.total
    assert found.unused == []
    assert str(found) == f'{found.total} of {found.total} tensors found by name and shape'


def test_tensors_that_differ_in_shape_keep_their_initialization():
    backbone = MODELS.build(dict(type='ResNet', depth=18))
    state = backbone.state_dict()
    state['conv1.weight'] = torch.zeros(64, 1, 7, 7)
    state['fc.weight'] = torch.zeros(10, 512)
    found = match_weights(backbone, state)
    assert found.missing == ['conv1.weight']
    assert 'kept as initialized: conv1.weight; not used: conv1.weight, fc.weight' in str(found)


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('mobilenet_v2', r"'features.0.0.weight' has shape \(32, 3, 3, 3\) instead of"),
        ('resnet34', 'conv'),
    ],
)
def test_weights_of_another_network_are_refused(name, reason):
    backbone = MODELS.build(NETWORKS['shufflenet_v2_x1_0'][0])
    state = torchvision.models.get_model(name).state_dict()
    with pytest.raises(UserError, match=f'do not fit ShuffleNetV2: .*{reason}'):
        match_weights(backbone, state)


def test_a_file_with_too_few_tensors_is_refused():
    backbone = MODELS.build(NETWORKS['mobilenet_v2'][0])
    state = torchvision.models.mobilenet_v2().state_dict()
    short = dict(list(state.items())[:100])
    with pytest.raises(UserError, match=r'the file has \d+ tensors and the backbone 260'):
        match_weights(backbone, short)
