"""The contrast of joints between branches."""

import copy
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from common import HEATMAP_SIZE, batch, build, images, okdhp_model, run, stock_model

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import ContrastiveTerm
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.structures import BranchFeatures, BranchOutputs, NetworkSpec, Targets
from okdhp_mm.student.state import student_state

B, K, H, W = 3, 4, 6, 5
CHANNELS = (7, 8, 9)
M = len(CHANNELS)
DONE = torch.ones(())
LABELED = torch.tensor([[1, 0, 1, 1], [1, 1, 0.5, 0], [1, 0, 0, 1]])
SETTINGS = [
    dict(negatives=negatives, bank=bank, pool_by=pool_by)
    for negatives in ('joints', 'images')
    for bank in (0, 4)
    for pool_by in ('target', 'own')
]


def random(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 0.2


def make_outputs(seed, size=(H, W)):
    final_heatmaps = tuple((random(B, K, H, W, seed=seed + m).requires_grad_(),) for m in range(M))
    features = tuple(
        random(B, channels, *size, seed=seed + 10 + m).requires_grad_()
        for m, channels in enumerate(CHANNELS)
    )
    return BranchOutputs(
        final_heatmaps, BranchFeatures(torch.rand(B, 4, H, W), {}), head_features=features
    )


def make_targets(seed, weights=LABELED):
    return Targets(random(B, K, H, W, seed=seed + 20).clamp(min=0), weights, ())


def make_term(channels=CHANNELS, size=(H, W), **settings):
    torch.manual_seed(0)
    spec = NetworkSpec(len(channels), K, 4, tuple((c, *size) for c in channels))
    return ContrastiveTerm(spec, **dict(embed_dims=6, loss_weight=1.0) | settings)


@pytest.fixture
def outputs():
    return make_outputs(0)


@pytest.fixture
def targets():
    return make_targets(0)


# ----------------------------------------------------------------- a literal transcription


def literal_embedding(term, outputs, targets, m, b, k):
    """The projected mean of a feature map, weighted by a heatmap."""
    if term.pool_by == 'target':
        heatmap = targets.heatmaps[b, k]
    else:
        heatmap = outputs.heatmaps[m][-1][b, k].detach().clamp(min=0)
    pooled = 0
    for y in range(H):
        for x in range(W):
            pooled = pooled + heatmap[y, x] / heatmap.sum() * outputs.head_features[m][b, :, y, x]
    projected = term.projections[m].weight @ pooled + term.projections[m].bias
    return projected / projected.norm()


class Literal:
    """InfoNCE by loops over pairs, anchors and negatives, and queues that are lists."""

    def __init__(self, term):
        self.term = term
        self.queues = {(m, k): [] for m in range(M) for k in range(K)}

    def __call__(self, outputs, targets):
        labeled = [(b, k) for b in range(B) for k in range(K) if targets.weights[b, k] > 0]
        embeddings = {
            (m, b, k): literal_embedding(self.term, outputs, targets, m, b, k)
            for m in range(M)
            for b, k in labeled
        }
        losses = []
        for i, j in permutations(range(M), 2):
            for anchor in labeled:
                similar = embeddings[(i, *anchor)] @ embeddings[(j, *anchor)] / self.term.tau
                total = similar.exp()
                for negative in self.negatives(embeddings, labeled, j, anchor):
                    total = total + (embeddings[(i, *anchor)] @ negative / self.term.tau).exp()
                losses.append(-(similar.exp() / total).log())
        self.remember(embeddings, labeled)
        return sum(losses) / len(losses)

    def negatives(self, embeddings, labeled, j, anchor):
        same_joint = self.term.negatives == 'images'
        for b, k in labeled:
            if (b, k) != anchor and (k == anchor[1] or not same_joint):
                yield embeddings[j, b, k]
        for k in range(K):
            if k == anchor[1] or not same_joint:
                yield from self.queues[j, k]

    def remember(self, embeddings, labeled):
        for (m, k), queue in self.queues.items():
            new = [embeddings[m, b, k].detach() for b, joint in labeled if joint == k]
            self.queues[m, k] = (new + queue)[: self.term.bank_size]


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_values_and_gradients_are_those_of_the_equation(settings):
    term = make_term(**settings)
    literal = Literal(term)
    for step in range(4):
        outputs, targets = make_outputs(step), make_targets(step, LABELED.roll(step, 1))
        leaves = [*outputs.head_features, *term.parameters()]
        expected = literal(outputs, targets)
        expected_gradients = torch.autograd.grad(expected, leaves)
        value = term(outputs, targets, DONE)
        torch.testing.assert_close(value, expected)
        for gradient, other in zip(
            torch.autograd.grad(value, leaves), expected_gradients, strict=True
        ):
            torch.testing.assert_close(gradient, other)


@pytest.mark.parametrize('pool_by', ['target', 'own'])
def test_heatmaps_say_where_the_joints_are_and_are_not_moved_by_it(outputs, targets, pool_by):
    leaves = [stages[-1] for stages in outputs.heatmaps]
    value = make_term(pool_by=pool_by)(outputs, targets, DONE)
    assert torch.autograd.grad(value, leaves, allow_unused=True) == (None,) * M


def test_features_of_another_size_are_pooled_where_the_heatmap_lies(targets):
    """Features of half the height: each pixel stands for two of the heatmap."""
    size = (H // 2, W)
    small = make_outputs(0, size)
    term = make_term(size=size)
    pooled = targets.heatmaps.reshape(B, K, H // 2, 2, W).mean(3)
    expected = term(small, replace(targets, heatmaps=pooled), DONE)
    torch.testing.assert_close(term(small, targets, DONE), expected)


# ------------------------------------------------------------------------------ properties


def one_hot_outputs(hot):
    """Features that tell every joint of every image apart, at the pixels of its heatmap."""
    features = torch.zeros(B, B * K, H, W)
    heatmaps = torch.zeros(B, K, H, W)
    for b in range(B):
        for k in range(K):
            heatmaps[b, k, k, 0] = 1
            features[b, hot(b, k), k, 0] = 1
    outputs = replace(make_outputs(0), head_features=(features,) * M)
    return outputs, Targets(heatmaps, torch.ones(B, K), ())


@pytest.fixture
def identical():
    """A term whose projections do nothing."""
    term = make_term(channels=(B * K,) * M, embed_dims=B * K)
    for projection in term.projections:
        torch.nn.init.eye_(projection.weight)
        torch.nn.init.zeros_(projection.bias)
    return term


@pytest.mark.parametrize('negatives', ['joints', 'images'])
def test_branches_that_agree_on_what_is_apart_have_nothing_to_learn(identical, negatives):
    identical.negatives = negatives
    value = identical(*one_hot_outputs(lambda b, k: b * K + k), DONE)
    assert 0 < value < 1e-3


def test_branches_that_agree_on_nothing_but_the_joint_cannot_tell_images_apart(identical):
    args = *one_hot_outputs(lambda b, k: k), DONE
    torch.testing.assert_close(identical(*args), torch.tensor(B).log(), atol=1e-3, rtol=0)
    identical.negatives = 'images'
    torch.testing.assert_close(identical(*args), torch.tensor(B).log())


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_no_branch_is_privileged(outputs, targets, settings):
    term = make_term(**settings)
    term.bank.normal_()
    permuted = copy.deepcopy(term)
    order = [2, 0, 1]
    permuted.projections = torch.nn.ModuleList(term.projections[m] for m in order)
    permuted.bank.copy_(term.bank[order])
    others = replace(
        outputs,
        heatmaps=tuple(outputs.heatmaps[m] for m in order),
        head_features=tuple(outputs.head_features[m] for m in order),
    )
    torch.testing.assert_close(permuted(others, targets, DONE), term(outputs, targets, DONE))


def test_unlabeled_joints_change_nothing(outputs, targets):
    term = make_term(bank=2)
    others = replace(targets, heatmaps=targets.heatmaps.clone())
    others.heatmaps[LABELED == 0] = 7 * random(H, W, seed=99)
    twin = copy.deepcopy(term)
    assert torch.equal(term(outputs, targets, DONE), twin(outputs, others, DONE))
    assert torch.equal(term.bank, twin.bank)


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_every_projection_and_every_feature_learns(outputs, targets, settings):
    term = make_term(**settings)
    term(outputs, targets, DONE).backward()
    assert all(parameter.grad.any() for parameter in term.parameters())
    assert all(feature.grad.any() for feature in outputs.head_features)


def test_its_weight_and_schedule_multiply_it(outputs, targets):
    value = make_term()(outputs, targets, DONE)
    scheduled = make_term(loss_weight=3.0, schedule=dict(type='GaussianRampUp', end=0.5))
    start = torch.zeros(())
    expected = 3 * value * torch.tensor(-5.0).exp()
    torch.testing.assert_close(scheduled(outputs, targets, start), expected)


def test_it_moves_no_heatmap_and_leaves_the_aggregator_alone():
    assert not make_term().is_distillation
    assert not make_term().trains_aggregator


# -------------------------------------------------------------------------------- the bank


def test_a_bank_of_an_interrupted_training_gives_the_same_next_losses():
    def train(term, steps):
        return [term(make_outputs(s), make_targets(s), DONE).item() for s in steps]

    whole, interrupted, resumed = (make_term(bank=5) for _ in range(3))
    expected = train(whole, range(5))
    train(interrupted, range(2))
    resumed.load_state_dict(copy.deepcopy(interrupted.state_dict()))
    assert train(resumed, range(2, 5)) == expected[2:]
    assert train(make_term(bank=5), range(2, 5)) != expected[2:], 'the bank counts'


def test_the_bank_keeps_the_newest_labeled_of_every_joint():
    term = make_term(bank=4)
    literal = Literal(term)
    for step in range(3):
        outputs, targets = make_outputs(step), make_targets(step)
        term(outputs, targets, DONE)
        literal(outputs, targets)
    counts = term.bank.any(-1).sum(-1)
    assert counts.tolist() == [[4, 3, 4, 4]] * M, 'three batches with 3, 1, 2 and 2 labeled'
    for (m, k), queue in literal.queues.items():
        torch.testing.assert_close(term.bank[m, k, : len(queue)], torch.stack(queue))


def test_only_training_fills_the_bank(outputs, targets):
    term = make_term(bank=4).eval()
    term(outputs, targets, DONE)
    assert not term.bank.any()
    assert not make_term(bank=4).bank.any()


def test_all_processes_keep_what_any_has_seen(outputs, targets, monkeypatch):
    """Processes that keep other banks would train otherwise after a resume."""
    alone, together = make_term(bank=9), make_term(bank=9)
    alone(outputs, targets, DONE)
    monkeypatch.setattr(
        'okdhp_mm.models.distillers.terms.contrastive.all_gather',
        lambda data: [data, data.flip(-1)],
    )
    together(outputs, targets, DONE)
    first = alone.bank[:, 0, :3]
    torch.testing.assert_close(together.bank[:, 0, :6], torch.cat([first, first.flip(-1)], 1))


def test_without_a_bank_nothing_is_kept():
    assert 'bank' not in make_term().state_dict()
    assert 'bank' in make_term(bank=1).state_dict()


# ------------------------------------------------------------------------ degenerate cases


def assert_nothing_learned(value, term, outputs):
    assert value == 0
    value.backward()
    for leaf in (*term.parameters(), *outputs.head_features):
        assert leaf.grad is not None and not leaf.grad.any()


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_a_batch_without_a_labeled_joint_teaches_nothing(outputs, targets, settings):
    term = make_term(**settings)
    nothing = replace(
        targets, weights=torch.zeros(B, K), heatmaps=torch.zeros_like(targets.heatmaps)
    )
    assert_nothing_learned(term(outputs, nothing, DONE), term, outputs)
    assert not term.bank.any()


@pytest.mark.parametrize('negatives', ['joints', 'images'])
def test_a_single_joint_has_no_negatives_and_teaches_nothing(outputs, targets, negatives):
    term = make_term(negatives=negatives)
    weights = torch.zeros(B, K)
    weights[1, 2] = 1
    assert_nothing_learned(term(outputs, replace(targets, weights=weights), DONE), term, outputs)


def test_a_single_image_has_no_negatives_among_images_until_the_bank_has(targets):
    outputs = make_outputs(0)
    alone = replace(
        outputs,
        heatmaps=tuple((stages[-1][:1],) for stages in outputs.heatmaps),
        head_features=tuple(f.detach()[:1].requires_grad_() for f in outputs.head_features),
    )
    targets = Targets(targets.heatmaps[:1], targets.weights[:1], ())
    term = make_term(negatives='images')
    assert_nothing_learned(term(alone, targets, DONE), term, alone)
    term = make_term(negatives='images', bank=1)
    assert term(alone, targets, DONE) == 0
    assert term(alone, targets, DONE) > 0


def test_joints_whose_heatmap_is_empty_give_numbers(outputs, targets):
    """Such as a branch's own, where it is negative everywhere."""
    empty = replace(targets, heatmaps=torch.zeros_like(targets.heatmaps))
    term = make_term()
    value = term(outputs, empty, DONE)
    value.backward()
    assert value.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in term.parameters())


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda s: '-'.join(map(str, s.values())))
def test_autocast_changes_nothing(outputs, targets, settings):
    term, twin = make_term(**settings), make_term(**settings)
    halved = replace(outputs, head_features=tuple(f.bfloat16() for f in outputs.head_features))
    rounded = replace(outputs, head_features=tuple(f.float() for f in halved.head_features))
    with torch.autocast('cpu', torch.bfloat16):
        value = term(halved, targets, DONE)
    assert value.dtype == torch.float32
    assert torch.equal(value, twin(rounded, targets, DONE))


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(tau=0.0), 'tau=0.0 must be positive'),
        (dict(tau=float('nan')), 'tau=nan must be positive'),
        (dict(embed_dims=0), 'embed_dims=0 must be at least 1'),
        (dict(bank=-1), 'bank=-1 must not be negative'),
        (dict(negatives='classes'), r"negatives='classes' is not one of \('joints', 'images'\)"),
        (dict(pool_by='mean'), r"pool_by='mean' is not one of \('target', 'own'\)"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(UserError, match=f'ContrastiveTerm: {sentence}'):
        make_term(**settings)


def test_one_branch_alone_is_refused():
    with pytest.raises(UserError, match='one branch has no other to agree with. Set branches=2'):
        make_term(channels=(7,))


# ------------------------------------------------------------------------ the whole method


@pytest.fixture
def model():
    config = okdhp_model()
    apply_method(config, 'mcl')
    config.distiller.terms.loss_mcl.update(bank=3)
    return build(config).train()


@pytest.mark.parametrize('amp', [False, True])
def test_a_step_of_the_preset_trains_every_parameter(model, amp):
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        losses = run(model, 'loss', batch())
    assert {'loss_kpt', 'loss_mcl', 'loss_kd'} <= losses.keys()
    assert losses['loss_mcl'].isfinite()
    assert losses['loss_mcl'] > 0
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert all(p.grad.any() for p in model.head.distiller.parameters())
    assert model.head.distiller.terms['loss_mcl'].bank[:, :, :2].any(-1).all()


def test_it_trains_the_features_and_not_the_layers_above(model):
    run(model, 'loss')['loss_mcl'].backward()
    for branch in (0, 1, 2):
        assert model.head.branches[branch].final_layer.weight.grad is None
    assert any(p.grad is not None and p.grad.any() for p in model.backbone.trunk.parameters())


def test_the_student_has_nothing_of_it(model):
    run(model, 'loss')
    state = student_state(model.state_dict(), 0)
    student = build(stock_model())
    student.load_state_dict(state, strict=True)
    x = images()
    heatmaps = student.eval()(x, None, mode='tensor')
    assert heatmaps.shape[-2:] == HEATMAP_SIZE
    model.eval()
    assert torch.equal(heatmaps, model.head.forward(model.backbone(x), 0))
