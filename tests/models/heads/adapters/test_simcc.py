"""SimCC students: their two distributions per keypoint are aggregated, taught and read as maps."""

import re

import numpy as np
import pytest
import torch
from common import (
    CODEC,
    NUM_KEYPOINTS,
    batch,
    build,
    head,
    make_model,
    resnet,
    run,
    shake,
    stock_model,
    student_weights,
)
from mmengine.config import Config
from mmpose.models.losses import KLDiscretLoss
from mmpose.registry import KEYPOINT_CODECS

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers.diagnosis import correlations, diagnose, peak_distances
from okdhp_mm.models.losses import KLHeatmapLoss
from okdhp_mm.structures import ENSEMBLE, distributions
from okdhp_mm.student.state import check_equal

WIDTH, HEIGHT = INPUT = (64, 96)
BINS = (128, 192)
BETA = 10.0
MEAN = dict(type='MeanAggregator')
SUPERVISED = dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))

CODECS = dict(
    rtmpose=dict(type='SimCCLabel', input_size=INPUT, sigma=(2.0, 3.0), normalize=False),
    simcc=dict(type='SimCCLabel', input_size=INPUT, sigma=2.0),
    smoothed=dict(
        type='SimCCLabel', input_size=INPUT, smoothing_type='standard', label_smooth_weight=0.1
    ),
    rtmw=dict(
        type='SimCCLabel', input_size=INPUT, sigma=2.0, normalize=False, decode_visibility=True
    ),
)
SHARP = dict(type='KLDiscretLoss', beta=BETA, label_softmax=True)
SHAPE = dict(
    in_channels=64,
    out_channels=NUM_KEYPOINTS,
    input_size=INPUT,
    in_featuremap_size=(2, 3),
)
GAU = dict(
    hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0, act_fn='SiLU',
    use_rel_bias=False, pos_enc=False,
)  # fmt: skip
HEADS = dict(
    rtmpose=dict(type='RTMCCHead', gau_cfg=GAU, loss=SHARP),
    simcc=dict(type='SimCCHead', deconv_out_channels=(8,), deconv_kernel_sizes=(4,)),
    smoothed=dict(type='SimCCHead', deconv_out_channels=None),
    rtmw=dict(type='RTMWHead', gau_cfg=GAU, loss=SHARP | dict(beta=1.0)),
)


def parts(name, **changes):
    """The entries of a model with that head."""
    backbone = resnet(out_indices=(2, 3)) if name == 'rtmw' else resnet()
    own = HEADS[name] | SHAPE | dict(decoder=CODECS[name]) | changes
    return dict(backbone=backbone, head=own)


def make(name='rtmpose', **changes):
    return shake(make_model('resnet', **(parts(name) | dict(split='layer3') | changes)))


def data_of(name='rtmpose', batch_size=2):
    """A batch with the labels that the codec makes."""
    data = batch(batch_size, INPUT)
    codec = KEYPOINT_CODECS.build(CODECS[name])
    generator = np.random.default_rng(0)
    for sample in data['data_samples']:
        # A label at the edge would lose a part of its sum.
        keypoints = generator.uniform(0.2, 0.8, (1, NUM_KEYPOINTS, 2)).astype(np.float32) * INPUT
        encoded = codec.encode(keypoints, np.ones((1, NUM_KEYPOINTS), np.float32))
        for label, value in encoded.items():
            sample.gt_instance_labels.set_field(torch.from_numpy(value), label)
    return data


def outputs_of(model, data):
    inputs = model.data_preprocessor(data, training=False)['inputs']
    return model.head.outputs(model.backbone(inputs))


def student_of(model, name, branch, **changes):
    student = build(stock_model('resnet', **parts(name), **changes))
    student.load_state_dict(student_weights(model, branch), strict=True)
    return student.eval()


@pytest.fixture(params=HEADS)
def name(request):
    return request.param


# ------------------------------------------------------------------------------- training


def test_every_parameter_gets_a_gradient(name):
    model = make(name).train()
    losses = run(model, 'loss', data_of(name))
    assert set(losses) == {'loss_kpt', 'loss_ens', 'loss_kd', 'acc_pose'}
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_a_branch_is_supervised_as_the_stock_network_is(name):
    model = make(name, branches=2).train()
    data = data_of(name)
    alone = []
    for branch in range(2):
        student = build(stock_model('resnet', **parts(name))).train()
        student.load_state_dict(student_weights(model, branch), strict=True)
        alone.append(run(student, 'loss', data))
    losses = run(model, 'loss', data)
    torch.testing.assert_close(losses['loss_kpt'], sum(own['loss_kpt'] for own in alone))
    assert torch.equal(losses['acc_pose'], alone[0]['acc_pose'])


def test_the_terms_are_those_of_a_literal_transcription():
    model = make().train()
    model.head.distiller.set_progress(1.0)
    data = data_of()
    outputs = outputs_of(model, data)
    losses = run(model, 'loss', data)
    ensemble = torch.einsum('bmk,mbkhw->bkhw', outputs.weights, outputs.final_heatmaps)
    labels = [
        torch.cat([s.gt_instance_labels[f'keypoint_{axis}_labels'] for s in data['data_samples']])
        for axis in 'xy'
    ]
    ones = torch.ones(2, NUM_KEYPOINTS)
    stock = KLDiscretLoss(beta=BETA, label_softmax=True)
    halves = [vectors_of(maps) for maps in (*outputs.final_heatmaps, ensemble)]
    expected = [stock(half, labels, ones) for half in halves]
    torch.testing.assert_close(losses['loss_kpt'], sum(expected[:3]))
    torch.testing.assert_close(losses['loss_ens'], expected[3])
    taught = 0.0
    for branch in halves[:3]:
        for student, teacher, length in zip(branch, halves[3], BINS, strict=True):
            for b in range(2):
                for k in range(NUM_KEYPOINTS):
                    p = torch.softmax(BETA * student[b, k], 0)
                    q = torch.softmax(BETA * teacher[b, k], 0)
                    taught += (q * (q.log() - p.log())).sum() / (NUM_KEYPOINTS * length)
    torch.testing.assert_close(losses['loss_kd'], 4 * taught, rtol=1e-4, atol=1e-6)


def vectors_of(maps):
    return maps[..., 0, : BINS[0]], maps[..., 0, BINS[0] :]


def test_the_order_of_the_branches_does_not_matter():
    model, other = (make(aggregator=MEAN).train() for _ in range(2))
    order, state = '201', {}
    for own, value in model.state_dict().items():
        moved = re.sub(r'branches\.(\d)', lambda found: f'branches.{order[int(found[1])]}', own)
        state[moved] = value
    other.load_state_dict(state, strict=True)
    data = data_of()
    expected, found = run(model, 'loss', data), run(other, 'loss', data)
    assert expected['loss_kd'] > 0
    final_heatmaps, moved = (outputs_of(both, data).final_heatmaps for both in (model, other))
    assert not torch.equal(final_heatmaps[0], moved[0])
    torch.testing.assert_close(final_heatmaps[[1, 2, 0]], moved)
    for term in ('loss_kpt', 'loss_ens', 'loss_kd'):
        torch.testing.assert_close(found[term], expected[term])


def test_copies_have_nothing_to_teach():
    model = make(symmetry_noise=0.0).train()
    stock = build(stock_model('resnet', **parts('rtmpose')))
    model.load_state_dict(stock.state_dict(), strict=False)
    assert run(model, 'loss', data_of())['loss_kd'].abs() < 1e-5


@pytest.mark.parametrize('kind', ['rtmpose', 'simcc'])
@pytest.mark.parametrize('batch_size', [1, 16])
def test_the_distillation_is_as_strong_as_the_stock_loss_by_labels_as_far_away(kind, batch_size):
    model = make(kind)
    adapter, data = model.head.adapter, data_of(kind, batch_size)
    targets = adapter.targets(data['data_samples'])
    weights = torch.ones(batch_size, NUM_KEYPOINTS)
    # Logits whose distributions are the labels'.
    teacher = targets if kind == 'rtmpose' else targets.clamp(min=1e-30).log()
    maps = (0.1 * torch.randn(targets.shape)).requires_grad_()
    (supervised,) = torch.autograd.grad(adapter.criteria(1)[0](maps, targets, weights), maps)
    loss = model.head.distiller.terms['loss_kd'].loss
    taught = sum(
        loss(*both, weights)
        for both in zip(distributions(maps, BINS), distributions(teacher, BINS), strict=True)
    )
    (taught,) = torch.autograd.grad(taught, maps)
    assert 0.5 < taught.norm() / supervised.norm() < 2
    torch.testing.assert_close(taught, supervised, rtol=1e-3, atol=1e-6)


def test_what_a_term_says_itself_is_kept():
    def loss_of(**own):
        terms = dict(SUPERVISED, loss_kd=dict(type='MutualTerm', **own))
        model = make(aggregator=MEAN, distiller=dict(type='Distiller', terms=terms))
        return model.head.distiller.terms['loss_kd'].loss

    default = loss_of()
    assert (default.reduction, default.temperature) == ('simcc', 1 / BETA)
    own = loss_of(loss=dict(type='KLHeatmapLoss', detach_target=False))
    assert (own.reduction, own.temperature, own.detach_target) == ('simcc', 1 / BETA, False)
    own = loss_of(loss=dict(type='KLHeatmapLoss', reduction='joint_mean', temperature=0.5))
    assert (own.reduction, own.temperature) == ('joint_mean', 0.5)
    assert not isinstance(loss_of(loss=dict(type='KeypointMSELoss')), KLHeatmapLoss)


def test_half_precision_trains_and_predicts():
    model, data = make(), data_of()
    with torch.autocast('cpu', torch.bfloat16):
        total, _ = model.train().parse_losses(run(model, 'loss', data))
        samples = run(model.eval(), 'predict', data)
    total.backward()
    assert total.isfinite()
    assert np.isfinite(samples[0].pred_instances.keypoints).all()


# ----------------------------------------------------------------------- the back door


@pytest.mark.parametrize('flip_test', [False, True])
def test_the_student_predicts_what_its_branch_does(name, flip_test):
    settings = dict(flip_test=flip_test, output_heatmaps=True)
    model = make(name, test_cfg=dict(branch=1, **settings)).eval()
    student = student_of(model, name, 1, test_cfg=settings)
    data = batch(2, INPUT)
    check_equal(model, student, 1)
    inputs = model.data_preprocessor(data, training=False)['inputs']
    outputs = model(inputs, None, mode='tensor')
    for ours, theirs in zip(outputs, student(inputs, None, mode='tensor'), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(
        run(model, 'predict', data), run(student, 'predict', data), strict=True
    ):
        assert set(theirs.pred_instances.keys()) <= set(ours.pred_instances.keys())
        for key, value in theirs.pred_instances.items():
            assert np.array_equal(ours.pred_instances[key], value), key
        assert torch.equal(ours.pred_fields.heatmaps, theirs.pred_fields.heatmaps)
        assert set(ours.pred_outputs.keys()) == {'branch0', 'branch2', ENSEMBLE}
        other = ours.pred_outputs.branch2.keypoints
        assert not np.array_equal(other, ours.pred_instances.keypoints)


def test_the_check_finds_a_student_that_differs():
    model = make().eval()
    student = student_of(model, 'rtmpose', 0)
    with torch.no_grad():
        student.head.cls_y.weight[0] += 1
    with pytest.raises(AssertionError, match='student differs from branch'):
        check_equal(model, student, 0)


def test_a_stock_checkpoint_is_what_every_branch_begins_with():
    stock = shake(build(stock_model('resnet', **parts('rtmpose')))).eval()
    model = make(symmetry_noise=0.0).eval()
    model.load_state_dict(stock.state_dict(), strict=False)
    for branch in range(3):
        check_equal(model, stock, branch)


def test_the_averaged_copy_reads_its_own_heads():
    head = make(ema=dict(momentum=0.5)).ema.module.head
    assert [adapter.head for adapter in head.adapters] == list(head.branches)


# --------------------------------------------------------------------------- diagnosis


def test_branches_are_compared_per_distribution():
    maps = torch.randn(2, 1, 1, 1, sum(BINS))
    maps[0, ..., 7] = maps[0, ..., BINS[0] + 20] = 9
    maps[1, ..., 10] = maps[1, ..., BINS[0] + 24] = 9
    assert peak_distances(maps, BINS)[0, 1] == 5
    halves = [torch.corrcoef(part.flatten(1))[0, 1] for part in distributions(maps, BINS)]
    torch.testing.assert_close(correlations(maps, BINS)[0, 1, 0, 0], sum(halves) / 2)


def test_the_report_is_of_probabilities():
    model = make().train()
    data, distiller = data_of(), model.head.distiller
    outputs = outputs_of(model, data)
    targets = model.head.targets(outputs, data['data_samples'])
    wrong = targets.errors(outputs.final_heatmaps)
    assert wrong.shape == outputs.final_heatmaps.shape
    for half in distributions(wrong, BINS):
        torch.testing.assert_close(half.sum(-1), torch.zeros_like(half.sum(-1)), rtol=0, atol=1e-5)
    # What the loss is sent back by, up to its factor, which differs between x and y.
    final = outputs.heatmaps[0][-1]
    loss = targets.criteria[0][-1](final, targets.heatmaps, targets.weights)
    (sent,) = torch.autograd.grad(loss, final)
    for half, own, length in zip(
        distributions(wrong[0], BINS), distributions(sent, BINS), BINS, strict=True
    ):
        torch.testing.assert_close(half, own * NUM_KEYPOINTS * length / BETA, rtol=1e-3, atol=1e-5)
    outputs = outputs_of(model, data)
    losses = {n: term(outputs, targets, torch.ones(())) for n, term in distiller.terms.items()}
    report = diagnose(distiller.terms, losses, outputs, targets, torch.ones(()))
    assert 0 < report.scalars()['kd/grad_ratio'] < 1
    assert report.error_correlation < 1


def test_pictures_have_their_peaks_where_the_keypoints_are():
    adapter = make().head.adapter
    keypoints = np.array([[[10.0, 70.0], [50.0, 20.0], [0.0, 0.0]]], np.float32)
    targets = adapter.encode(keypoints, np.array([[1.0, 1.0, 0.0]], np.float32))
    assert targets.shape == (1, 3, 1, sum(BINS))
    pictures = adapter.targets_to_display(targets)
    assert pictures.shape == (1, 3, HEIGHT // 4, WIDTH // 4)
    # The logits should equal the label, because its softmax has the same inverse temperature.
    torch.testing.assert_close(adapter.to_display(targets)[:, :2], pictures[:, :2])
    for picture, (x, y) in zip(pictures[0], keypoints[0, :2], strict=False):
        assert divmod(int(picture.argmax()), WIDTH // 4) == (y // 4, x // 4)
        torch.testing.assert_close(picture.sum(), torch.ones(()))
    assert not pictures[0, 2].any(), 'not labeled'


# ----------------------------------------------------------------------------- refused


def test_branches_of_different_forms_are_refused():
    other = dict(head=dict(loss=dict(beta=1.0)))
    with pytest.raises(UserError, match=r'beta=10\.0; .* beta=1\.0; they must agree'):
        make(branches=[{}, other])
    heatmaps = dict(head=dict(head(64, CODEC), _delete_=True))
    with pytest.raises(UserError, match='predict SimCC .* bins .*; heatmaps; they must agree'):
        make(branches=[{}, heatmaps])


def test_aggregators_of_the_features_below_heatmaps_are_refused():
    terms = dict(SUPERVISED, loss_kd=dict(type='PeerDistillTerm'))
    with pytest.raises(UserError, match='head adapter of its head does not return one'):
        make(aggregator=dict(type='PeerAttention'), distiller=dict(type='Distiller', terms=terms))


def test_a_simcc_head_with_another_codec_is_refused():
    with pytest.raises(UserError, match='MSRAHeatmap encodes no keypoint_x_labels.*RTMCCHead'):
        make(head=parts('rtmpose', decoder=dict(CODEC, input_size=INPUT))['head'])


def test_labels_of_another_size_are_refused_with_both_shapes():
    data = batch(2, (64, 64))
    with pytest.raises(UserError, match=r'\(2, 17, 1, 320\).*\(2, 17, 1, 256\)'):
        model = make()
        features = model.backbone(torch.zeros(2, 3, HEIGHT, WIDTH))
        model.head.loss(features, data['data_samples'])


# ------------------------------------------------------------------------- other aggregators


def test_a_frozen_teacher_speaks_in_distributions_as_well(tmp_path):
    config = stock_model('resnet', **parts('rtmpose'))
    Config(dict(model=config)).dump(tmp_path / 'teacher.py')
    teacher = shake(build(config)).eval()
    torch.save(teacher.state_dict(), tmp_path / 'teacher.pth')
    model = make(
        branches=1,
        teacher=dict(
            type='FrozenTeacher',
            config=str(tmp_path / 'teacher.py'),
            checkpoint=str(tmp_path / 'teacher.pth'),
        ),
        aggregator=MEAN,
        distiller=dict(
            type='Distiller',
            terms=SUPERVISED | dict(loss_kd=dict(type='DistillTerm', teacher='frozen')),
        ),
    ).eval()
    model.load_teacher()
    inputs = torch.randn(2, 3, HEIGHT, WIDTH)
    taught = model.teacher(inputs, [])
    x, y = teacher(inputs, None, mode='tensor')
    assert torch.equal(taught, torch.cat((x, y), -1)[:, :, None])


def test_the_best_branch_is_the_one_with_the_best_probabilities():
    distiller = dict(type='Distiller', terms=SUPERVISED)
    model = make(aggregator=dict(type='BestBranch'), distiller=distiller)
    data = data_of()
    outputs = outputs_of(model, data)
    targets = model.head.targets(outputs, data['data_samples'])
    chosen = model.head.aggregator.aggregate(outputs, targets).weights.argmax(1)

    def shares(maps, b, k):
        """Like the stock loss: a softmax over each axis, of the labels as well."""
        parts = distributions(maps, BINS)
        return torch.cat([(BETA * part[b, k].flatten()).softmax(0) for part in parts])

    for b in range(2):
        for k in range(NUM_KEYPOINTS):
            target = shares(targets.heatmaps, b, k)
            errors = [
                (shares(maps, b, k) - target).square().sum() for maps in outputs.final_heatmaps
            ]
            assert chosen[b, k] == min(range(3), key=errors.__getitem__)
