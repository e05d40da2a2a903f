"""The feature aggregation unit."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from okdhp_mm.errors import UserError
from okdhp_mm.models.aggregators import FAU, MeanAggregator
from okdhp_mm.models.aggregators.fau import FORMS, shrink
from okdhp_mm.structures import BranchFeatures, BranchOutputs

B, M, K, C = 2, 3, 5, 8


def feature(height=16, width=12, channels=C):
    return torch.randn(B, channels, height, width, generator=torch.Generator().manual_seed(1))


def outputs(shared, branches=M):
    heatmaps = torch.rand(branches, B, K, 16, 12, generator=torch.Generator().manual_seed(2))
    return BranchOutputs(tuple((maps,) for maps in heatmaps), BranchFeatures(shared, {}))


@pytest.mark.parametrize('kernel_sizes', [(3,), (3, 5, 7), (1, 3, 5, 7)])
@pytest.mark.parametrize('branches', [2, 3, 4])
def test_the_weights_are_a_softmax_over_any_number_of_branches_from_any_number_of_kernels(
    kernel_sizes, branches
):
    weights = FAU(C, branches, K, kernel_sizes=kernel_sizes)(feature())
    assert weights.shape == (B, branches, K)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(B, K))


@pytest.mark.parametrize('shape', [(16, 12), (64, 48), (3, 5), (1, 1)])
@pytest.mark.parametrize('form', FORMS)
def test_it_takes_any_feature_size(form, shape):
    assert FAU(C, M, K, form)(feature(*shape)).shape == (B, M, K)


@pytest.mark.parametrize('form', FORMS)
def test_the_weights_depend_on_image_keypoint_and_branch(form):
    weights = FAU(C, M, K, form)(feature())
    for axis in range(3):
        assert weights.std(axis).min() > 1e-4


def test_the_ensemble_is_the_weighted_sum_of_the_final_heatmaps():
    given = outputs(feature())
    fau = FAU(C, M, K).eval()
    filled = fau.aggregate(given)
    expected = torch.zeros(B, K, 16, 12)
    for b in range(B):
        for m in range(M):
            for k in range(K):
                expected[b, k] += filled.weights[b, m, k] * given.heatmaps[m][-1][b, k]
    torch.testing.assert_close(filled.ensemble, expected)
    assert torch.equal(filled.weights, fau(given.features.shared))
    assert given.ensemble is None, 'the given outputs are frozen'


def test_only_the_last_stage_of_a_branch_enters_the_ensemble():
    final = outputs(feature())
    stacked = BranchOutputs(
        tuple((torch.full_like(s[0], 99.0), s[0]) for s in final.heatmaps), final.features
    )
    fau = FAU(C, M, K).eval()
    assert torch.equal(fau.aggregate(stacked).ensemble, fau.aggregate(final).ensemble)


def test_equal_logits_give_the_mean_ensemble():
    fau = FAU(C, M, K)
    nn.init.zeros_(fau.expand.weight)
    nn.init.zeros_(fau.expand.bias)
    given = outputs(feature())
    mean = MeanAggregator(C, M, K).aggregate(given).ensemble
    torch.testing.assert_close(fau.aggregate(given).ensemble, mean)


def test_permuted_branches_with_permuted_logits_give_the_same_ensemble():
    fau, permuted = FAU(C, M, K).eval(), FAU(C, M, K).eval()
    order = [2, 0, 1]
    permuted.load_state_dict(fau.state_dict())
    for name in ('weight', 'bias'):
        rows = fau.expand.get_parameter(name).data.unflatten(0, (M, K))
        permuted.expand.get_parameter(name).data.copy_(rows[order].flatten(0, 1))
    given = outputs(feature())
    shuffled = BranchOutputs(tuple(given.heatmaps[m] for m in order), given.features)
    torch.testing.assert_close(permuted.aggregate(shuffled).ensemble, fau.aggregate(given).ensemble)


def convolved(x, convolution, norm, training):
    """relu(bn(conv(x))), the normalization written out."""
    assert convolution.groups == 1
    y = F.conv2d(x, convolution.weight, convolution.bias, padding=convolution.kernel_size[0] // 2)
    mean, var = norm.running_mean, norm.running_var
    if training:
        mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)
    y = (y - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
    return F.relu(y * norm.weight[:, None, None] + norm.bias[:, None, None])


def weights_from(s, fau):
    """z = W s, a_m = W_m z, softmax over m."""
    z = s @ fau.squeeze.weight.T + fau.squeeze.bias
    a = [
        z @ fau.expand.weight[m * K : (m + 1) * K].T + fau.expand.bias[m * K : (m + 1) * K]
        for m in range(M)
    ]
    return torch.stack(a, 1).softmax(1)


@pytest.mark.parametrize('training', [True, False])
def test_the_released_form_is_what_the_authors_code_computes(training):
    """u = sum_k relu(bn(conv_k(x))), s = mean of u."""
    fau = FAU(C, M, K, 'released', mid_channels=6)
    fau.train(training)
    x = feature()
    u = sum(convolved(x, path[0], path[1], training) for path in fau.paths)
    assert [path[0].kernel_size[0] for path in fau.paths] == [3, 5, 7]
    expected = weights_from(u.mean((2, 3)), fau)
    torch.testing.assert_close(fau(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('training', [True, False])
def test_the_paper_form_is_what_its_figure_shows(training):
    """Each conv under a 1x1 conv, concatenated, pooled; next to them the average under a 1x1."""
    fau = FAU(C, M, K, 'paper', mid_channels=6)
    fau.train(training)
    x = feature()
    seen = []
    for path in fau.paths:
        y = convolved(x, path[0], path[1], training)
        seen.append(convolved(y, path[3], path[4], training).mean((2, 3)))
    matrix = fau.average_path.weight[:, :, 0, 0]
    seen.append(x.mean((2, 3)) @ matrix.T + fau.average_path.bias)
    expected = weights_from(torch.cat(seen, 1), fau)
    torch.testing.assert_close(fau(x), expected, rtol=1e-4, atol=1e-5)


def test_the_default_looks_at_each_channel_alone_and_at_no_more_than_16x16_pixels():
    fau = FAU(C, M, K)
    sizes = []
    fau.paths[0][0].register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[2:]))
    fau(feature(64, 12))
    assert sizes == [(16, 12)]
    assert all(path[0].groups == C for path in fau.paths)


@pytest.mark.parametrize('form', FORMS)
def test_every_parameter_gets_a_gradient(form):
    fau = FAU(C, M, K, form)
    (fau.aggregate(outputs(feature())).ensemble ** 2).sum().backward()
    # A bias before a batch norm has a gradient of rounding errors, but has one.
    assert [name for name, p in fau.named_parameters() if p.grad is None] == []
    assert [n for n, p in fau.named_parameters() if p.dim() > 1 and not p.grad.any()] == []


@pytest.mark.parametrize('kernel_sizes', [(), (3, 4), (2,)])
def test_even_or_missing_kernels_are_refused(kernel_sizes):
    with pytest.raises(UserError, match='must be odd numbers'):
        FAU(C, M, K, kernel_sizes=kernel_sizes)


def test_an_unknown_form_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="form='full' is not one of .*'light', 'released', 'paper'"):
        FAU(C, M, K, 'full')


@pytest.mark.parametrize(('shape', 'pools'), [((16, 12), False), ((8, 8), False), ((17, 8), True)])
def test_what_is_small_already_is_not_pooled(monkeypatch, shape, pools):
    fau, x = FAU(C, M, K).eval(), feature(*shape)
    sizes, pool = [], F.adaptive_avg_pool2d
    monkeypatch.setattr(
        F, 'adaptive_avg_pool2d', lambda x, size: sizes.append(size) or pool(x, size)
    )
    weights = fau(x)
    assert sizes == ([(16, 8)] if pools else [])
    seen = sum(path(pool(x, [min(n, 16) for n in shape])).mean((-2, -1)) for path in fau.paths)
    expected = fau.expand(fau.squeeze(seen)).view(B, M, K).softmax(1)
    assert torch.equal(weights, expected)


@pytest.mark.parametrize('shape', [(64, 48), (32, 8), (96, 64), (96, 72), (17, 8)])
def test_the_pooling_is_adaptive_by_fixed_windows_where_they_fit(shape):
    """CUDA has a deterministic gradient of fixed windows, none of adaptive ones."""
    x = feature(*shape).requires_grad_()
    pooled = shrink(x)
    (gradient,) = torch.autograd.grad(pooled.square().sum(), x)
    expected = F.adaptive_avg_pool2d(x, [min(n, 16) for n in shape])
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    fit = all(n <= 16 or n % 16 == 0 for n in shape)
    assert pooled.grad_fn.name().startswith('AvgPool2D' if fit else 'AdaptiveAvgPool2D')
