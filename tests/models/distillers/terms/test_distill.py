"""Terms between teachers and students, compared with their equations."""

from dataclasses import replace

import pytest
import torch
from mmpose.models.losses import KeypointMSELoss
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import DistillTerm, MutualTerm, PeerDistillTerm
from okdhp_mm.models.losses import KLHeatmapLoss
from okdhp_mm.structures import BranchFeatures, BranchOutputs, NetworkSpec, Targets

B, M, K, H, W = 2, 3, 5, 8, 6
DONE = torch.ones(())
FREE = dict(type='KLHeatmapLoss', detach_target=False)


def maps(*leading):
    return torch.rand(*leading, B, K, H, W)


def sizes(branches=M, **changes):
    return NetworkSpec(branches=branches, keypoints=K, shared_channels=4, **changes)


SPEC = sizes(teacher='frozen')


def build(term):
    return MODELS.build(term | dict(spec=SPEC))


@pytest.fixture
def outputs():
    """Branch 2 has two stages, the trunk one."""
    final_heatmaps = maps(M).requires_grad_()
    return BranchOutputs(
        heatmaps=(
            (final_heatmaps[0],),
            (final_heatmaps[1],),
            (maps().requires_grad_(), final_heatmaps[2]),
        ),
        features=BranchFeatures(torch.rand(B, 4, H, W), {}),
        ensemble=maps().requires_grad_(),
        trunk=(maps().requires_grad_(),),
        peer_targets=maps(M).requires_grad_(),
        ema=maps(M),
        teacher=maps(),
    )


@pytest.fixture
def targets():
    weights = torch.tensor([[1.0, 0, 1, 1, 1], [1, 1, 1, 0, 1]])
    return Targets(maps(), weights, ())


def kl(student, teacher, weights):
    """The default loss of one student, map by map."""
    total = 0
    for b in range(B):
        for k in range(K):
            p, q = (torch.softmax(3 * x[b, k].flatten(), 0) for x in (student, teacher))
            total = total + weights[b, k] * (q * (q.log() - p.log())).sum()
    return total / (B * K * 9)


def lessons_of(term, outputs):
    """Pairs of student and teacher with their factors, as the papers have them."""
    final = [stages[-1] for stages in outputs.heatmaps]
    stages = {m: list(stages) for m, stages in enumerate(outputs.heatmaps)}
    every = [stage for m in range(M) for stage in stages[m]]
    mean = sum(final) / M
    return {
        'all': [(student, outputs.ensemble, 1) for student in (*outputs.trunk, *every)],
        'branches': [(student, outputs.ensemble, 1) for student in every],
        'last': [(student, outputs.ensemble, 1) for student in stages[2]],
        'mean to ensemble': [(outputs.ensemble, mean, 1)],
        'mean to branches': [(student, mean, 1) for student in every],
        'frozen to all': [(student, outputs.teacher, 1) for student in (*outputs.trunk, *every)],
        'ema to all': [(student, sum(outputs.ema) / M, 1) for student in (*outputs.trunk, *every)],
        'mutual': [
            (student, final[j], 1 / (M - 1))
            for i in range(M)
            for student in stages[i]
            for j in range(M)
            if j != i
        ],
        'ema': [
            (student, outputs.ema[j], 1 / (M - 1))
            for i in range(M)
            for student in stages[i]
            for j in range(M)
            if j != i
        ],
        'own': [(student, outputs.peer_targets[i], 1) for i in range(M) for student in stages[i]],
    }[term]


TERMS = {
    'all': dict(type='DistillTerm'),
    'branches': dict(type='DistillTerm', students='branches'),
    'last': dict(type='DistillTerm', students=[2]),
    'mean to ensemble': dict(type='DistillTerm', teacher='mean', students='ensemble'),
    'mean to branches': dict(type='DistillTerm', teacher='mean', students='branches'),
    'ema to all': dict(type='DistillTerm', teacher='ema'),
    'frozen to all': dict(type='DistillTerm', teacher='frozen'),
    'mutual': dict(type='MutualTerm'),
    'ema': dict(type='MutualTerm', by='ema'),
    'own': dict(type='PeerDistillTerm'),
}
each_term = pytest.mark.parametrize('name', TERMS)


def leaves(outputs):
    """Return the tensors that could get a gradient."""
    own = [stage for stages in outputs.heatmaps for stage in stages if stage.is_leaf]
    final_heatmaps = outputs.heatmaps[0][0]._base
    return [final_heatmaps, *own, outputs.ensemble, *outputs.trunk, outputs.peer_targets]


def gradients(value, outputs):
    found = torch.autograd.grad(value, leaves(outputs), allow_unused=True, retain_graph=True)
    return [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad in zip(leaves(outputs), found, strict=True)
    ]


@each_term
def test_value_and_gradient_are_those_of_the_equation(name, outputs, targets):
    value = build(TERMS[name] | dict(loss_weight=0.7))(outputs, targets, DONE)
    expected = 0.7 * sum(
        factor * kl(student, teacher.detach(), targets.weights)
        for student, teacher, factor in lessons_of(name, outputs)
    )
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-7)
    found = zip(gradients(value, outputs), gradients(expected, outputs), strict=True)
    for ours, theirs in found:
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)


@each_term
def test_a_teacher_that_is_not_detached_learns_as_well(name, outputs, targets):
    value = build(TERMS[name] | dict(loss=FREE))(outputs, targets, DONE)
    expected = sum(
        factor * kl(student, teacher, targets.weights)
        for student, teacher, factor in lessons_of(name, outputs)
    )
    for ours, theirs in zip(gradients(value, outputs), gradients(expected, outputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)


@each_term
def test_agreement_teaches_nothing(name, outputs, targets):
    same = maps().requires_grad_()
    agreed = replace(
        outputs,
        heatmaps=((same,), (same,), (same, same)),
        ensemble=same,
        trunk=(same,),
        peer_targets=torch.stack([same] * M),
        ema=torch.stack([same] * M),
        teacher=same,
    )
    value = build(TERMS[name])(agreed, targets, DONE)
    assert value.abs() < 1e-7
    (gradient,) = torch.autograd.grad(value, same)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize('name', ['mutual', 'ema', 'own', 'mean to ensemble'])
def test_permuting_the_branches_changes_nothing(name, outputs, targets):
    order = [2, 0, 1]
    permuted = replace(
        outputs,
        heatmaps=tuple(outputs.heatmaps[m] for m in order),
        peer_targets=outputs.peer_targets[order],
        ema=outputs.ema[order],
    )
    term = build(TERMS[name])
    value, again = term(outputs, targets, DONE), term(permuted, targets, DONE)
    torch.testing.assert_close(value, again, rtol=1e-5, atol=1e-8)


def test_without_any_labeled_keypoint_nothing_is_taught(outputs, targets):
    unlabeled = replace(targets, weights=torch.zeros(B, K))
    for config in TERMS.values():
        value = build(config)(outputs, unlabeled, DONE)
        assert value == 0
        assert not any(gradient.any() for gradient in gradients(value, outputs))


def test_of_two_branches_each_learns_from_the_other_alone(outputs, targets):
    two = replace(outputs, heatmaps=outputs.heatmaps[:2])
    first, second = (stages[-1] for stages in two.heatmaps)
    expected = kl(first, second, targets.weights) + kl(second, first, targets.weights)
    torch.testing.assert_close(MutualTerm(SPEC)(two, targets, DONE), expected, rtol=1e-4, atol=1e-8)


def test_a_loss_of_the_host_is_summed_over_the_students_as_well(outputs, targets):
    mse = KeypointMSELoss(use_target_weight=True)
    term = DistillTerm(
        SPEC, loss=dict(type='KeypointMSELoss', use_target_weight=True), students='branches'
    )
    expected = sum(
        mse(student, teacher, targets.weights)
        for student, teacher, _ in lessons_of('branches', outputs)
    )
    torch.testing.assert_close(term(outputs, targets, DONE), expected)


def test_who_trains_the_aggregator():
    assert DistillTerm(SPEC, teacher='mean', students='ensemble').trains_aggregator
    assert not DistillTerm(SPEC, teacher='mean', loss=FREE).trains_aggregator
    assert not MutualTerm(SPEC, loss=FREE).trains_aggregator
    assert PeerDistillTerm(SPEC, loss=FREE).trains_aggregator
    assert not PeerDistillTerm(SPEC, loss=KL).trains_aggregator


KL = dict(type='KLHeatmapLoss')


def test_who_needs_what():
    for term in (MutualTerm(SPEC, by='ema'), DistillTerm(SPEC, teacher='ema')):
        assert term.requires == {'ema'}
    for term in (MutualTerm(SPEC), DistillTerm(SPEC), DistillTerm(SPEC, teacher='mean')):
        assert 'ema' not in term.requires
    assert PeerDistillTerm(SPEC).requires == {'peer_targets'}
    assert DistillTerm(SPEC, teacher='frozen').requires == {'teacher'}
    assert DistillTerm(SPEC, teacher='mean', students='ensemble').requires == {'ensemble'}


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(students='trunk'), "students='trunk' is not one of"),
        (dict(students=[]), r'students=\[\] is not one of'),
        (dict(students='ensemble'), 'the ensemble would teach itself'),
    ],
)
def test_teachers_and_students_that_do_not_exist_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        DistillTerm(SPEC, **settings)


def test_a_teacher_that_the_model_does_not_have_is_refused():
    names = r"\('ensemble', 'mean', 'ema'\)"
    with pytest.raises(UserError, match=f"'leader' is not one of {names}"):
        DistillTerm(sizes(), teacher='leader')
    with pytest.raises(UserError, match=r"'leader' is not one of \(.*, 'frozen'\)"):
        DistillTerm(sizes(teacher='frozen'), teacher='leader')
    DistillTerm(sizes(teacher='frozen'), teacher='frozen')


def test_students_that_the_network_does_not_have_are_refused():
    with pytest.raises(UserError, match=r'branches \[3\] do not exist; valid are 0 to 2'):
        DistillTerm(sizes(), students=[0, 3])
    DistillTerm(sizes(), students=[0, 2])


def test_mutual_learning_of_one_branch_or_by_anything_else_is_refused():
    with pytest.raises(UserError, match='one branch has no other to learn from'):
        MutualTerm(sizes(branches=1))
    with pytest.raises(UserError, match=r"by='ensemble' is not one of \('branches', 'ema'\)"):
        MutualTerm(SPEC, by='ensemble')


def test_the_default_loss_is_the_kl():
    assert isinstance(MutualTerm(SPEC).loss, KLHeatmapLoss)


@pytest.mark.parametrize('kind', ['KLHeatmapLoss', 'mmpose.KLHeatmapLoss', KLHeatmapLoss])
def test_the_kl_has_the_defaults_of_the_network_unless_its_config_sets_others(kind):
    spec = sizes(kl_defaults=dict(reduction='simcc', temperature=0.1))
    for loss in (None, dict(type=kind)):
        built = DistillTerm(spec, loss=loss).loss
        assert (built.reduction, built.temperature) == ('simcc', 0.1)
    built = DistillTerm(spec, loss=dict(type=kind, temperature=0.5)).loss
    assert (built.reduction, built.temperature) == ('simcc', 0.5)


def test_another_loss_does_not_get_the_defaults_of_the_kl():
    spec = sizes(kl_defaults=dict(reduction='simcc'))
    assert isinstance(DistillTerm(spec, loss=dict(type='KeypointMSELoss')).loss, KeypointMSELoss)
