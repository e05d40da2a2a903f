"""Losses that were measured and are not in the package."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from gain.ideas import LossWeightedMean, NarrowedKL, RampUpAndDown, SharpenedKL  # noqa: E402

from okdhp_mm.structures import BranchOutputs  # noqa: E402

MAPS = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(('progress', 'weight'), [(0.4, 1), (0.7, 1), (0.85, 0.5), (1, 0)])
def test_the_weight_falls_to_nothing(progress, weight):
    assert RampUpAndDown()(torch.tensor(progress)).item() == pytest.approx(weight, abs=1e-6)


def test_sharpened_is_content_with_higher_peaks_alone():
    loss = SharpenedKL(sharpness=1.5)
    assert loss(1.5 * MAPS, MAPS).item() == pytest.approx(0, abs=1e-6)
    assert loss(MAPS, MAPS) > 1e-4


def test_narrowed_is_content_with_narrower_peaks_of_the_same_height():
    narrow = MAPS.square() / MAPS.amax((-2, -1), keepdim=True)
    assert (narrow.amax((-2, -1)) == MAPS.amax((-2, -1))).all() and narrow.sum() < MAPS.sum()
    assert NarrowedKL()(narrow, MAPS).item() == pytest.approx(0, abs=1e-6)
    assert NarrowedKL()(MAPS, MAPS) > 1e-4


def test_a_branch_with_half_the_error_counts_twice():
    targets = SimpleNamespace(errors=lambda final_heatmaps: final_heatmaps)
    branches = tuple((scale**0.5 * MAPS,) for scale in (1, 2))
    outputs = BranchOutputs(branches, features=None)
    mean = LossWeightedMean(in_channels=1, num_branches=2, num_keypoints=3)
    weights = mean.aggregate(outputs, targets).weights
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 1 / 3])[:, None].expand(2, 2, 3))
    torch.testing.assert_close(mean.aggregate(outputs).ensemble, outputs.final_heatmaps.mean(0))
