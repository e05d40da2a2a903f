"""Diagnosis of a step, compared with numbers computed by hand."""

import math

import pytest
import torch
from common import NUM_KEYPOINTS, batch, make_model, observe, run
from mmpose.models.losses import KeypointMSELoss
from torch import nn

from okdhp_mm.models.distillers import Distiller, DistillTerm, SupervisedTerm
from okdhp_mm.models.distillers.diagnosis import (
    correlations,
    diagnose,
    gradient_norms,
    mean_of_pairs,
    peak_distances,
)
from okdhp_mm.structures import BranchFeatures, BranchOutputs, NetworkSpec, Targets

BATCH, KEYPOINTS, HEIGHT, WIDTH = 2, 5, 8, 6
SPEC = NetworkSpec(
    branches=3, keypoints=KEYPOINTS, shared_channels=4, provided=frozenset({'ensemble'})
)


class Half(nn.Module):
    """Half the squared distance: its gradient is the difference."""

    def forward(self, output, target, weights):
        return 0.5 * (output - target).square().sum()


def outputs_of(heatmaps, ensemble=None, weights=None):
    features = BranchFeatures(torch.rand(BATCH, 4, HEIGHT, WIDTH), {})
    outputs = BranchOutputs(tuple((maps,) for maps in heatmaps), features)
    ensemble = outputs.final_heatmaps.mean(0) if ensemble is None else ensemble
    return outputs.aggregated(ensemble, weights)


def targets_of(branches, criterion=None):
    criteria = ((criterion or KeypointMSELoss(),),) * branches
    shape = (BATCH, KEYPOINTS, HEIGHT, WIDTH)
    return Targets(torch.rand(shape), torch.ones(BATCH, KEYPOINTS), criteria)


def leaves(branches=3):
    shape = (BATCH, KEYPOINTS, HEIGHT, WIDTH)
    return [torch.rand(shape, requires_grad=True) for _ in range(branches)]


def test_the_share_is_the_distillations_part_of_the_gradient():
    heatmaps, ensemble = leaves(), torch.rand(BATCH, KEYPOINTS, HEIGHT, WIDTH)
    outputs, targets = outputs_of(heatmaps, ensemble), targets_of(3, Half())
    terms = {'loss_kpt': SupervisedTerm(SPEC, 'branches'), 'loss_kd': DistillTerm(SPEC)}
    terms['loss_kd'].loss = Half()  # gradient: heatmap - ensemble
    progress = torch.ones(())
    losses = {name: term(outputs, targets, progress) for name, term in terms.items()}
    report = diagnose(terms, losses, outputs, targets, progress)
    for share, maps in zip(report.grad_ratios, heatmaps, strict=True):
        taught, supervised = (maps - ensemble).norm(), (maps - targets.heatmaps).norm()
        torch.testing.assert_close(share, (taught / (taught + supervised)).detach())
    assert report.schedule == 1
    assert report.scalars()['kd/grad_ratio'] == report.grad_ratios.mean()


def reports_of(distiller, outputs, targets):
    reports = observe(distiller)
    distiller(outputs, targets)
    return reports


def test_the_share_follows_the_ramp_up():
    heatmaps = leaves()
    outputs, targets = outputs_of(heatmaps, torch.rand_like(heatmaps[0])), targets_of(3)
    model = Distiller(
        dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(type='DistillTerm', schedule=dict(type='GaussianRampUp', end=0.5)),
        ),
        SPEC,
    )
    ratios = []
    for progress in (0.0, 0.5):
        model.set_progress(progress)
        (report,) = reports_of(model, outputs, targets)
        assert report.schedule == pytest.approx(math.exp(-5 * (1 - 2 * progress) ** 2))
        ratios.append(report.grad_ratios / (1 - report.grad_ratios))
    torch.testing.assert_close(ratios[0], ratios[1] * math.exp(-5))


def test_gradients_reach_every_branch_through_the_ensemble_and_none_beyond_it():
    heatmaps = leaves(2)
    outputs = outputs_of(heatmaps, 0.75 * heatmaps[0] + 0.25 * heatmaps[1])
    loss = outputs.ensemble.sum()
    norms = gradient_norms(loss, outputs)
    torch.testing.assert_close(norms[0], 3 * norms[1])
    alone = gradient_norms(heatmaps[0].sum(), outputs)
    assert alone[0] > 0 and alone[1] == 0
    assert gradient_norms(torch.zeros(()), outputs).tolist() == [0, 0]


def test_a_mean_over_many_pixels_does_not_vanish_in_half_precision():
    heatmaps = [torch.rand(8, 17, 64, 48).half().requires_grad_() for _ in range(2)]
    features = BranchFeatures(torch.rand(1), {})
    outputs = BranchOutputs(tuple((maps,) for maps in heatmaps), features)
    norms = [
        gradient_norms(factor * sum(maps.float().square().mean() for maps in heatmaps), outputs)
        for factor in (1.0, 1e-3)
    ]
    torch.testing.assert_close(norms[1], 1e-3 * norms[0], rtol=0.02, atol=0)


def test_correlation_is_that_of_numpy():
    maps = torch.rand(3, BATCH, KEYPOINTS, HEIGHT, WIDTH, dtype=torch.float64)
    found = correlations(maps)
    for b in range(BATCH):
        for k in range(KEYPOINTS):
            expected = torch.corrcoef(maps[:, b, k].flatten(1))
            torch.testing.assert_close(found[:, :, b, k], expected)


def test_copies_agree_and_noise_does_not():
    maps = torch.rand(1, BATCH, KEYPOINTS, HEIGHT, WIDTH)
    targets = targets_of(2)

    def agreement(heatmaps):
        report = diagnose({}, {}, outputs_of(heatmaps), targets, torch.ones(()))
        return report.error_correlation.item()

    assert agreement([maps[0], maps[0]]) == pytest.approx(1)
    assert agreement([maps[0], torch.rand_like(maps[0])]) < 0.8


def test_half_precision_makes_no_copies_of_what_is_alike():
    maps = torch.rand(BATCH, KEYPOINTS, HEIGHT, WIDTH)
    outputs = outputs_of([maps, maps + 0.02 * torch.rand_like(maps)])
    targets = targets_of(2)
    exact = diagnose({}, {}, outputs, targets, torch.ones(()))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = diagnose({}, {}, outputs, targets, torch.ones(()))
    assert half.error_correlation < 1
    assert half.error_correlation == exact.error_correlation


def test_peaks_are_measured_in_heatmap_pixels():
    heatmaps = torch.zeros(3, 1, 1, HEIGHT, WIDTH)
    for m, (row, column) in enumerate([(1, 1), (4, 5), (1, 1)]):
        heatmaps[m, 0, 0, row, column] = 1
    distances = peak_distances(heatmaps)[..., 0, 0]
    torch.testing.assert_close(distances, torch.tensor([[0.0, 5, 0], [5, 0, 5], [0, 5, 0]]))
    mean = mean_of_pairs(distances[..., None, None], torch.ones(1, 1))
    assert mean == pytest.approx(10 / 3)


def test_unlabeled_keypoints_do_not_count():
    values = torch.zeros(2, 2, 1, 3)
    values[0, 1, 0] = torch.tensor([1.0, 2.0, 30.0])
    assert mean_of_pairs(values, torch.tensor([[1.0, 0.5, 0.0]])) == 1.5
    assert mean_of_pairs(values, torch.zeros(1, 3)).isnan()


def test_methods_without_distillation_weights_or_pairs_report_less():
    heatmaps = leaves(1)
    outputs, targets = outputs_of(heatmaps), targets_of(1)
    terms = {'loss_kpt': SupervisedTerm(SPEC, 'branches')}
    losses = {'loss_kpt': terms['loss_kpt'](outputs, targets, torch.ones(()))}
    report = diagnose(terms, losses, outputs, targets, torch.ones(()))
    assert report.scalars() == report.details() == {}


def test_names_are_not_summed_as_losses_nor_averaged_as_times():
    model = make_model().train()
    reports = observe(model.head.distiller)
    run(model, 'loss', batch(2))
    (report,) = reports
    names = [*report.scalars(), *report.details()]
    assert names == [
        'kd/grad_ratio',
        'branches/error_correlation',
        'branches/peak_distance',
        *(f'weights/branch{m}' for m in range(3)),
        *(f'kd/grad_ratio_branch{m}' for m in range(3)),
        'kd/schedule',
    ]
    assert not any(word in name for name in names for word in ('loss', 'time', 'grad_norm'))
    assert report.weights.shape == (3, NUM_KEYPOINTS)
    torch.testing.assert_close(report.weights.sum(0), torch.ones(NUM_KEYPOINTS))
    assert not any(value.requires_grad for value in report.scalars().values())


def test_only_steps_that_are_observed_are_measured():
    model = make_model().train()
    run(model, 'loss')
    reports = observe(model.head.distiller)
    run(model, 'loss')
    assert len(reports) == 1
    model.head.distiller.observer = None
    run(model, 'loss')
    assert len(reports) == 1


def test_a_report_changes_no_gradient():
    model, data = make_model().eval(), batch(2)
    gradients = []
    for wanted in (False, True):
        if wanted:
            reports = observe(model.head.distiller)
        losses = run(model, 'loss', data)
        assert all(p.grad is None for p in model.parameters())
        model.parse_losses(losses)[0].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
        model.zero_grad(set_to_none=True)
    assert len(reports) == 1
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=0)


def test_a_step_without_gradients_is_not_measured():
    model = make_model().train()
    reports = observe(model.head.distiller)
    with torch.no_grad():
        run(model, 'loss')
    assert reports == []
