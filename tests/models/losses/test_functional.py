"""The divergence between heatmaps read as distributions over pixels."""

import pytest
import torch

from okdhp_mm.models.losses.functional import spatial_kl, spatial_log_softmax


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_probabilities_of_each_map_sum_to_1():
    probabilities = spatial_log_softmax(maps(2, 3, 8, 6)).exp()
    assert probabilities.shape == (2, 3, 48)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 3))


def test_the_scale_multiplies_the_logits():
    heatmaps = maps(2, 3, 8, 6)
    torch.testing.assert_close(
        spatial_log_softmax(heatmaps, 3.0), (3 * heatmaps.flatten(-2)).log_softmax(-1)
    )


def test_each_map_is_compared_with_its_own_and_no_other():
    output, target = maps(2, 3, 4, 5), maps(2, 3, 4, 5, seed=1)
    expected = torch.empty(2, 3)
    for b in range(2):
        for k in range(3):
            q = target[b, k].flatten().softmax(0)
            p = output[b, k].flatten().softmax(0)
            expected[b, k] = sum(q[i] * (q[i] / p[i]).log() for i in range(20))
    torch.testing.assert_close(spatial_kl(output, target), expected)


def test_it_is_not_symmetric():
    output, target = maps(1, 1, 8, 8), 3 * maps(1, 1, 8, 8, seed=1)
    assert (spatial_kl(output, target) - spatial_kl(target, output)).abs() > 0.1


def test_equal_maps_have_divergence_0():
    heatmaps = maps(2, 3, 8, 6)
    torch.testing.assert_close(spatial_kl(heatmaps, heatmaps), torch.zeros(2, 3))


@pytest.mark.parametrize('seed', range(5))
def test_different_maps_have_positive_divergence(seed):
    assert (spatial_kl(maps(2, 3, 8, 6, seed=seed), maps(2, 3, 8, 6, seed=seed + 9)) > 0.01).all()


def test_a_constant_added_to_a_map_changes_nothing():
    output, target = maps(2, 3, 8, 6), maps(2, 3, 8, 6, seed=1)
    torch.testing.assert_close(
        spatial_kl(output + 5.0, target - 2.0), spatial_kl(output, target), rtol=1e-4, atol=1e-6
    )


def test_the_target_is_broadcast_over_leading_axes():
    outputs, target = maps(4, 2, 3, 8, 6), maps(2, 3, 8, 6, seed=1)
    expected = torch.stack([spatial_kl(output, target) for output in outputs])
    torch.testing.assert_close(spatial_kl(outputs, target), expected)


def test_half_precision_inputs_are_compared_in_float32():
    output, target = maps(2, 3, 64, 48).bfloat16(), maps(2, 3, 64, 48, seed=1).bfloat16()
    divergence = spatial_kl(output, target)
    assert divergence.dtype == torch.float32
    assert torch.equal(divergence, spatial_kl(output.float(), target.float()))
