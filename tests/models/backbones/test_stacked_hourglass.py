"""The paper's network: its size, its feedback, and where it can be cut."""

import copy

import pytest
import torch
import torch.nn.functional as F
from common import images, shake
from mmengine.config import ConfigDict
from mmpose.registry import MODELS
from torch import nn

from okdhp_mm.errors import UserError
from okdhp_mm.models.backbones import BranchedBackbone, StackedHourglass

K, C = 5, 16
SMALL = dict(type='StackedHourglass', num_keypoints=K, feat_channels=C, depth=2)


def small(num_stacks=2, **changes):
    network = MODELS.build(SMALL | dict(num_stacks=num_stacks) | changes)
    shake(network).eval()
    return network


def branched(split, stacks=(3, 3)):
    configs = [ConfigDict(SMALL | dict(num_stacks=count)) for count in stacks]
    return shake(BranchedBackbone(configs, split))


# ------------------------------------------------------------------------------- its size


def multiply_adds(network, size):
    """Count multiply-adds of the convolutions, in units of 1024^3 as in the literature."""
    counts = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out: counts.append(out[0].numel() * conv.weight[0].numel())
            )
    network(torch.zeros(1, 3, size, size, device='meta'))
    return sum(counts) / 1024**3


@pytest.mark.parametrize(
    ('stacks', 'parameters', 'gmac'), [(2, 6.7, 8.4), (4, 13.0, 14.3), (8, 25.6, 26.2)]
)
def test_it_has_the_parameters_and_multiply_adds_of_the_authors_network(stacks, parameters, gmac):
    with torch.device('meta'):
        network = StackedHourglass(stacks)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == parameters
    assert round(multiply_adds(network, 256), 1) == gmac


def test_its_parts_are_those_of_the_description():
    with torch.device('meta'):
        network = StackedHourglass(2)
    stem, stack = network.stem, network.stacks[0]
    assert sum(p.numel() for p in stack.hourglass.parameters()) == 13 * 214_528
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(conv.bias is not None for conv in convolutions)
    assert stem.conv.kernel_size == (7, 7)
    assert stem.conv.stride == (2, 2)
    assert stem(torch.zeros(1, 3, 256, 256, device='meta')).shape == (1, 256, 64, 64)
    block = network.stem.blocks[1].layers
    kinds = [type(layer).__name__ for layer in block]
    assert kinds == ['BatchNorm2d', 'ReLU', 'Conv2d'] * 3, 'activated before each convolution'
    assert [layer.kernel_size[0] for layer in block[2::3]] == [1, 3, 1]
    assert [layer.out_channels for layer in block[2::3]] == [128, 128, 256]
    assert not hasattr(network.stacks[1], 'link_score'), 'nothing follows the last stack'


# ---------------------------------------------------------------------------- its forward


def test_every_stack_gives_heatmaps_at_a_quarter_of_the_size():
    heatmaps = small(3)(images(size=(48, 64)))
    assert isinstance(heatmaps, tuple)
    assert [tuple(maps.shape) for maps in heatmaps] == [(2, K, 16, 12)] * 3


@torch.no_grad()
def test_features_and_heatmaps_of_a_stack_are_fed_back():
    """x <- x + conv1x1(y) + conv1x1(score), the convolutions written out."""
    network = small()
    x = network.stem(images())
    stack = network.stacks[0]
    y = stack.project(stack.block(stack.hourglass(x)))
    score = stack.score(y)
    linked = x.clone()
    for convolution, maps in ((stack.link_features, y), (stack.link_score, score)):
        matrix, bias = convolution.weight[:, :, 0, 0], convolution.bias[:, None, None]
        linked += torch.einsum('oi,bihw->bohw', matrix, maps) + bias
    heatmaps = network(images())
    torch.testing.assert_close(heatmaps[0], score)
    torch.testing.assert_close(heatmaps[1], network.stacks[1](linked)[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_hourglass_goes_down_by_maxima_and_up_by_repetition():
    hourglass = small().stacks[0].hourglass
    x = torch.randn(2, C, 16, 12)

    def walk(level, x):
        low = level.down(F.max_pool2d(x, 2))
        low = walk(level.inner, low) if hasattr(level.inner, 'beside') else level.inner(low)
        low = level.up(low)
        return level.beside(x) + low.repeat_interleave(2, -1).repeat_interleave(2, -2)

    torch.testing.assert_close(hourglass(x), walk(hourglass, x))


# ------------------------------------------------------------------------------------ cuts


@pytest.mark.parametrize(('split', 'shared'), [('stem', 0), ('stack1', 1), ('stack2', 2)])
def test_the_stages_of_the_trunk_are_counted_and_are_the_same_tensors(split, shared):
    features = branched(split)(images())
    assert features.trunk_stages == shared
    first, second = features.branches.values()
    assert [a is b for a, b in zip(first, second, strict=True)] == [s < shared for s in range(3)]
    assert features.shared.shape == (2, C, 16, 16)


def test_names_inside_the_list_of_stacks_stay():
    backbone = branched('stack2')
    trunk = {name.split('.')[0] + name.split('.')[1] for name in backbone.trunk.state_dict()}
    assert {'stacks0', 'stacks1'} <= trunk
    assert all(name.startswith('stacks.2.') for name in backbone.branches[0].state_dict())
    assert any('stacks.1.link_score' in name for name in backbone.trunk.state_dict())


def test_branches_may_have_stacks_of_their_own_number():
    backbone = branched('stack2', stacks=(3, 4)).eval()
    with torch.no_grad():
        features = backbone(images()).branches
        for m, stacks in enumerate((3, 4)):
            stock = MODELS.build(SMALL | dict(num_stacks=stacks))
            stock.load_state_dict(
                backbone.trunk.state_dict() | backbone.branches[m].state_dict(), strict=True
            )
            stock.eval()
            assert all(map(torch.equal, features[m], stock(images())))
            assert len(features[m]) == stacks


def test_a_branch_with_too_few_stacks_is_refused():
    with pytest.raises(UserError, match="'stack2' is not a split point of StackedHourglass; valid"):
        branched('stack2', stacks=(3, 2))


# -------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize('name', ['num_stacks', 'num_keypoints', 'depth', 'num_blocks'])
def test_numbers_out_of_range_are_refused(name):
    with pytest.raises(UserError, match=f'{name}=0.*must be at least 1'):
        StackedHourglass(**{name: 0})


def test_a_width_that_the_stem_cannot_quarter_is_refused():
    with pytest.raises(UserError, match='feat_channels=30 must be divisible by 4'):
        StackedHourglass(feat_channels=30)


@pytest.mark.parametrize('split', [None, 'stack1'])
def test_an_image_that_cannot_be_halved_often_enough_is_refused(split):
    network = small() if split is None else branched(split)
    with pytest.raises(UserError, match='input size 48x60 must be a multiple of 16'):
        network(images(size=(48, 60)))


def test_its_config_is_left_as_it_is():
    before = copy.deepcopy(SMALL)
    MODELS.build(SMALL)
    assert before == SMALL
