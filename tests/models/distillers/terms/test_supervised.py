"""The words that methods are made of."""

from dataclasses import replace

import pytest
import torch
from mmpose.models.losses import KeypointMSELoss
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import DistillTerm, GaussianRampUp, SupervisedTerm
from okdhp_mm.models.losses import KLHeatmapLoss
from okdhp_mm.structures import BranchFeatures, BranchOutputs, NetworkSpec, Targets

B, K, H, W = 2, 5, 8, 6
DONE = torch.ones(())
SPEC = NetworkSpec(branches=2, keypoints=K, shared_channels=4)


def maps(seed):
    return torch.rand(B, K, H, W, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.fixture
def grid():
    """Two branches, of one and of two stages."""
    return ((maps(0),), (maps(1), maps(2)))


@pytest.fixture
def outputs(grid):
    features = BranchFeatures(torch.rand(B, 4, H, W), {})
    return BranchOutputs(grid, features, ensemble=maps(3))


@pytest.fixture
def targets():
    criteria = ((KeypointMSELoss(),), (KeypointMSELoss(loss_weight=10), KeypointMSELoss()))
    return Targets(maps(4).detach(), torch.tensor([[1.0, 0, 1, 1, 1]] * B), criteria)


def test_supervising_branches_sums_each_stage_under_its_own_criterion(grid, outputs, targets):
    weights = targets.weights[..., None, None]

    def mse(heatmaps):
        return ((heatmaps - targets.heatmaps) ** 2 * weights).mean()

    expected = mse(grid[0][0]) + 10 * mse(grid[1][0]) + mse(grid[1][1])
    value = SupervisedTerm(SPEC, 'branches')(outputs, targets, DONE)
    torch.testing.assert_close(value, expected)


def test_stages_of_the_trunk_are_supervised_and_taught_once(grid, outputs, targets):
    trunk = (maps(5), maps(6))
    criteria = (KeypointMSELoss(loss_weight=2), KeypointMSELoss(loss_weight=3))
    with_trunk = replace(outputs, trunk=trunk)
    with_criteria = replace(targets, trunk_criteria=criteria)
    weights = targets.weights[..., None, None]
    added = sum(
        factor * ((heatmaps - targets.heatmaps) ** 2 * weights).mean()
        for factor, heatmaps in zip((2, 3), trunk, strict=True)
    )
    supervise, teach, kl = SupervisedTerm(SPEC, 'branches'), DistillTerm(SPEC), KLHeatmapLoss()
    torch.testing.assert_close(
        supervise(with_trunk, with_criteria, DONE), supervise(outputs, targets, DONE) + added
    )
    added = sum(kl(heatmaps, outputs.ensemble, targets.weights) for heatmaps in trunk)
    torch.testing.assert_close(
        teach(with_trunk, with_criteria, DONE), teach(outputs, targets, DONE) + added
    )


def test_supervising_the_ensemble_trains_nothing_else(grid, outputs, targets):
    value = SupervisedTerm(SPEC, 'ensemble', loss_weight=3.0)(outputs, targets, DONE)
    expected = 3 * KeypointMSELoss()(outputs.ensemble, targets.heatmaps, targets.weights)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert outputs.ensemble.grad.any()
    assert grid[0][0].grad is None


def test_teaching_sums_the_loss_to_the_ensemble_over_every_stage(grid, outputs, targets):
    loss = KLHeatmapLoss()
    expected = sum(
        loss(heatmaps, outputs.ensemble, targets.weights) for stages in grid for heatmaps in stages
    )
    torch.testing.assert_close(DistillTerm(SPEC)(outputs, targets, DONE), expected)


def test_by_default_teaching_trains_the_pupils_and_not_the_teacher(grid, outputs, targets):
    DistillTerm(SPEC)(outputs, targets, DONE).backward()
    assert outputs.ensemble.grad is None
    assert all(heatmaps.grad.any() for stages in grid for heatmaps in stages)


@pytest.mark.parametrize(
    'term',
    [
        dict(type='SupervisedTerm', of='branches'),
        dict(type='SupervisedTerm', of='ensemble'),
        dict(type='DistillTerm'),
    ],
)
def test_a_schedule_multiplies_any_term_by_its_value_at_the_progress(term, outputs, targets):
    constant = MODELS.build(term | dict(spec=SPEC))(outputs, targets, DONE)
    scheduled = MODELS.build(term | dict(spec=SPEC, schedule=dict(type='GaussianRampUp', end=0.8)))
    for progress in (0.0, 0.3, 1.0):
        progress = torch.tensor(progress)
        torch.testing.assert_close(
            scheduled(outputs, targets, progress), constant * GaussianRampUp(0.8)(progress)
        )


def test_who_trains_the_aggregator():
    assert SupervisedTerm(SPEC, 'ensemble').trains_aggregator
    assert not SupervisedTerm(SPEC, 'branches').trains_aggregator
    assert not DistillTerm(SPEC).trains_aggregator
    assert DistillTerm(SPEC, loss=dict(type='KLHeatmapLoss', detach_target=False)).trains_aggregator


def test_a_stock_loss_which_detaches_nothing_trains_the_aggregator():
    assert DistillTerm(SPEC, loss=dict(type='KeypointMSELoss')).trains_aggregator


def test_supervising_anything_else_is_refused():
    with pytest.raises(UserError, match=r"of='trunk' is not one of \('branches', 'ensemble'\)"):
        SupervisedTerm(SPEC, 'trunk')
