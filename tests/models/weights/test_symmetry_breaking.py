"""Branches that would start as copies of one pretrained network are made different."""

import copy

import pytest
import torch
from common import batch, build, head, make_model, run, shake, stock_model, student_weights

from okdhp_mm.errors import UserError


@pytest.fixture
def stock():
    return shake(build(stock_model())).state_dict()


def loaded(state, **changes):
    model = make_model(**changes)
    model.load_state_dict(copy.deepcopy(state), strict=False)
    return model


def same(ours, theirs):
    return all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_branches_differ_after_a_stock_checkpoint_and_branch_0_is_exact(stock):
    model = loaded(stock)
    first, second, third = (student_weights(model, m) for m in range(3))
    assert same(first, stock)
    for ours in (second, third):
        for name, value in stock.items():
            of_branch = 'stage4' in name or 'transition3' in name or name.startswith('head.')
            noisy = of_branch and value.is_floating_point() and value.dim() > 1
            assert torch.equal(ours[name], value) != noisy, name
            if noisy:
                difference = ours[name] - value
                assert 0.03 < difference.std() / value.std() < 0.07
                assert abs(difference.mean()) < 0.03 * value.std()
    assert not torch.equal(second['head.final_layer.weight'], third['head.final_layer.weight'])


def test_the_noise_is_the_same_each_time_whatever_the_seed(stock):
    torch.manual_seed(1)
    first = loaded(stock)
    torch.manual_seed(2)
    second = loaded(stock)
    for m in range(3):
        assert same(student_weights(first, m), student_weights(second, m))


def test_zero_switches_it_off_and_the_size_is_relative(stock):
    model = loaded(stock, symmetry_noise=0)
    assert all(same(student_weights(model, m), stock) for m in range(3))
    small, large = (
        student_weights(loaded(stock, symmetry_noise=noise), 1)['head.final_layer.weight']
        - stock['head.final_layer.weight']
        for noise in (0.1, 0.2)
    )
    torch.testing.assert_close(large, 2 * small, rtol=1e-4, atol=1e-6)


def test_its_own_checkpoint_is_loaded_as_it_is(stock):
    trained = loaded(stock)
    assert same(loaded(trained.state_dict()).state_dict(), trained.state_dict())
    copies = loaded(stock, symmetry_noise=0)
    assert same(loaded(copies.state_dict()).state_dict(), copies.state_dict())


def test_branches_that_differ_anyway_stay_exact():
    """Heads for other keypoints are fresh, and tell the branches apart."""
    stock = shake(build(stock_model(head=head(8, deconv=None, out_channels=5)))).state_dict()
    model = loaded(stock)
    fitting = {name: value for name, value in stock.items() if 'final_layer' not in name}
    assert all(same(student_weights(model, m), fitting) for m in range(3))


def test_with_unequal_branches_only_the_copies_get_noise():
    """Branch 1 has another decoder; branch 2 is branch 0's copy."""
    stock = shake(build(stock_model('resnet'))).state_dict()
    branches = [dict(), dict(head=dict(deconv_out_channels=(8, 8, 4))), dict()]
    model = loaded(stock, name='resnet', branches=branches)
    assert same(student_weights(model, 0), stock)
    assert torch.equal(
        student_weights(model, 1)['backbone.layer4.0.conv1.weight'],
        stock['backbone.layer4.0.conv1.weight'],
    )
    assert not same(student_weights(model, 2), stock)


@pytest.mark.parametrize('noise', [0, 0.05])
def test_without_noise_a_training_step_cannot_tell_copies_apart(stock, noise):
    model = loaded(stock, symmetry_noise=noise).train()
    losses = run(model, 'loss', batch())
    sum(value for name, value in losses.items() if name in ('loss_kpt', 'loss_kd')).backward()
    first, second = (
        next(p.grad for n, p in top.named_parameters() if n.startswith('stage4'))
        for top in model.backbone.branches[:2]
    )
    assert torch.allclose(first, second, rtol=1e-4, atol=1e-8) == (noise == 0)


def test_negative_noise_is_refused():
    with pytest.raises(UserError, match='symmetry_noise=-1 must not be negative'):
        make_model(symmetry_noise=-1)
