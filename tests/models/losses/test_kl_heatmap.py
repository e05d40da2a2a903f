"""The distillation loss: the authors' numbers, the default's size, and its limits."""

import numpy as np
import pytest
import torch
from mmpose.models.losses import KeypointMSELoss
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.losses import KLHeatmapLoss

BRANCHES = range(3)


@pytest.fixture(scope='module')
def reference(data_root):
    """Values of the authors' code on fixed arrays."""
    with np.load(data_root / 'reference' / 'okdhp_losses.npz') as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def gaussians(batch, keypoints, height=64, width=48, sigma=2.0, seed=0):
    """Heatmaps as they are trained to be: a peak of height 1 somewhere, 0 elsewhere."""
    centers = maps(batch, keypoints, 2, seed=seed) * torch.tensor([width - 1.0, height - 1.0])
    x, y = torch.arange(width), torch.arange(height)[:, None]
    distance = (x - centers[..., :1, None]) ** 2 + (y - centers[..., 1:, None]) ** 2
    return torch.exp(-distance / (2 * sigma**2))


def gradient(loss, output, *rest):
    output = output.detach().clone().requires_grad_()
    loss(output, *rest).backward()
    return output.grad


# ------------------------------------------------------------------- the authors' numbers


@pytest.mark.parametrize('m', BRANCHES)
def test_official_kl_has_the_authors_value_and_gradients(reference, m):
    branch = reference['branch_heatmaps'][m].clone().requires_grad_()
    ensemble = reference['ensemble_heatmaps'].clone().requires_grad_()
    loss = KLHeatmapLoss(reduction='official', detach_target=False)
    value = loss(branch, ensemble, reference['keypoint_weights'])
    value.backward()
    # Differences of nearly equal logarithms: the reference, of float32 itself, is up to 5e-5 from
    # what float64 gives, and another processor rounds otherwise. The gradients have no such sums.
    torch.testing.assert_close(value, reference[f'kl_{m}'], rtol=1e-4, atol=0)
    for ours, theirs in (
        (branch.grad, reference[f'kl_{m}_grad_branch']),
        (ensemble.grad, reference[f'kl_{m}_grad_ensemble']),
    ):
        assert theirs.abs().max() > 0
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize('m', BRANCHES)
def test_the_authors_mse_is_half_the_hosts(reference, m):
    branch = reference['branch_heatmaps'][m].clone().requires_grad_()
    value = 0.5 * KeypointMSELoss(use_target_weight=True)(
        branch, reference['gt_heatmaps'], reference['keypoint_weights']
    )
    value.backward()
    torch.testing.assert_close(value, reference[f'mse_{m}'], rtol=1e-5, atol=0)
    theirs = reference[f'mse_{m}_grad']
    assert (branch.grad - theirs).norm() <= 1e-5 * theirs.norm()


def test_the_authors_ensemble_is_the_weighted_sum_of_the_branches(reference):
    weights = reference['branch_weights'].transpose(0, 1)[..., None, None]
    expected = (reference['branch_heatmaps'] * weights).sum(0)
    torch.testing.assert_close(expected, reference['ensemble_heatmaps'], rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------- both reductions


@pytest.fixture(params=['joint_mean', 'official'])
def reduction(request):
    return request.param


def test_it_is_0_at_agreement_and_positive_elsewhere(reduction):
    loss = KLHeatmapLoss(reduction)
    heatmaps, others = gaussians(2, 5), gaussians(2, 5, seed=1)
    assert loss(heatmaps, heatmaps).abs() < 1e-8
    assert loss(heatmaps, others) > 1e-6


def test_its_gradient_is_0_at_agreement(reduction):
    heatmaps = gaussians(2, 5)
    assert gradient(KLHeatmapLoss(reduction), heatmaps, heatmaps).abs().max() < 1e-8


def test_a_constant_added_to_a_map_changes_nothing(reduction):
    loss = KLHeatmapLoss(reduction)
    output, target = gaussians(2, 5), gaussians(2, 5, seed=1)
    torch.testing.assert_close(loss(output + 1, target), loss(output, target), rtol=1e-3, atol=0)


def test_branches_stacked_on_a_leading_axis_are_summed(reduction):
    loss = KLHeatmapLoss(reduction)
    outputs = torch.stack([gaussians(2, 5, seed=m) for m in BRANCHES])
    target, weights = gaussians(2, 5, seed=7), torch.tensor([[1.0, 0, 1, 1, 0]] * 2)
    apart = sum(loss(output, target, weights) for output in outputs)
    torch.testing.assert_close(loss(outputs, target, weights), apart)


def test_keypoints_without_a_weight_do_not_count(reduction):
    loss = KLHeatmapLoss(reduction)
    output, target = gaussians(2, 5), gaussians(2, 5, seed=1)
    weights = torch.ones(2, 5)
    weights[0, 3] = 0
    changed = output.clone()
    changed[0, 3] = maps(64, 48)
    assert torch.equal(loss(changed, target, weights), loss(output, target, weights))
    assert gradient(loss, output, target, weights)[0, 3].abs().max() == 0
    assert gradient(loss, output, target, weights)[0, 2].abs().max() > 0


def test_no_weights_count_like_ones(reduction):
    loss = KLHeatmapLoss(reduction)
    output, target = gaussians(2, 5), gaussians(2, 5, seed=1)
    torch.testing.assert_close(loss(output, target), loss(output, target, torch.ones(2, 5)))


def test_an_all_invisible_batch_gives_0_with_a_gradient_of_zeros(reduction):
    output = gaussians(2, 5).requires_grad_()
    value = KLHeatmapLoss(reduction)(output, gaussians(2, 5, seed=1), torch.zeros(2, 5))
    value.backward()
    assert value == 0
    assert torch.equal(output.grad, torch.zeros_like(output))


@pytest.mark.parametrize('detach', [True, False])
def test_detach_target_decides_whether_the_teacher_learns(reduction, detach):
    target = gaussians(2, 5, seed=1).requires_grad_()
    output = gaussians(2, 5).requires_grad_()
    KLHeatmapLoss(reduction, detach_target=detach)(output, target).backward()
    assert (target.grad is None) == detach
    assert output.grad.abs().max() > 0


def test_loss_weight_is_a_factor(reduction):
    output, target = gaussians(2, 5), gaussians(2, 5, seed=1)
    once = KLHeatmapLoss(reduction)(output, target)
    torch.testing.assert_close(KLHeatmapLoss(reduction, loss_weight=7.0)(output, target), 7 * once)


def test_bfloat16_maps_are_compared_in_float32_even_under_autocast(reduction):
    loss = KLHeatmapLoss(reduction)
    output, target = gaussians(2, 5).bfloat16(), gaussians(2, 5, seed=1).bfloat16()
    weights = torch.tensor([[1.0, 0.3, 1.2, 1.5, 0]] * 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(output, target, weights)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(output.float(), target.float(), weights))


# ----------------------------------------------------------------------------- the default


def test_the_default_is_the_mean_over_keypoints_of_the_divergence_times_the_squared_temperature():
    output, target = gaussians(2, 3, 8, 6), gaussians(2, 3, 8, 6, seed=1)
    weights = torch.tensor([[1.0, 0.5, 0], [1.2, 1, 1]])
    expected = 0
    for b in range(2):
        for k in range(3):
            q = (3 * target[b, k].flatten()).softmax(0)
            p = (3 * output[b, k].flatten()).softmax(0)
            expected += weights[b, k] * (q * (q / p).log()).sum() / 9 / 6
    torch.testing.assert_close(KLHeatmapLoss()(output, target, weights), expected)


def test_the_default_gradient_is_as_large_as_that_of_the_mse_and_the_official_one_is_not():
    """At the size of COCO's heatmaps: 17 maps of 64x48, early in the training and late."""
    target = gaussians(4, 17)
    for output in (0.05 * maps(4, 17, 64, 48, seed=3), 0.7 * gaussians(4, 17, sigma=2.5)):
        mse = gradient(KeypointMSELoss(), output, target).norm()
        default = gradient(KLHeatmapLoss(), output, target).norm()
        official = gradient(KLHeatmapLoss('official'), output, target).norm()
        assert 0.3 < default / mse < 10
        assert official / mse < 0.02


def test_descending_the_default_brings_the_branch_to_the_teacher():
    target = gaussians(1, 2, 16, 16)
    output = torch.zeros(1, 2, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([output], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        KLHeatmapLoss()(output, target).backward()
        optimizer.step()
    difference = output.detach() - target  # up to a constant per map, which no softmax sees
    assert (difference - difference.mean((-2, -1), keepdim=True)).abs().max() < 0.1


# ------------------------------------------------------------------------------- bad input


def test_an_unknown_reduction_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="'sum' is not one of .*'joint_mean', 'official'"):
        KLHeatmapLoss(reduction='sum')


@pytest.mark.parametrize('temperature', [0, -1.0, float('nan')])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(UserError, match=f'temperature={temperature} must be positive'):
        KLHeatmapLoss(temperature=temperature)


def test_a_config_builds_it_from_the_hosts_registry():
    loss = MODELS.build(dict(type='KLHeatmapLoss', reduction='official', loss_weight=2.0))
    assert (loss.reduction, loss.temperature, loss.detach_target, loss.loss_weight) == (
        'official',
        1.0,
        True,
        2.0,
    )
