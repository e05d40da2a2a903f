"""A stock head per branch, the ensemble and the distiller."""

import pytest
import torch
from common import (
    CODEC,
    HEATMAP_SIZE,
    INPUT_SIZE,
    NUM_KEYPOINTS,
    batch,
    head,
    images,
    make_model,
    run,
    shake,
)
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.losses import KeypointMSELoss

from okdhp_mm.errors import UserError
from okdhp_mm.models.losses import KLHeatmapLoss
from okdhp_mm.structures import ENSEMBLE

MEAN_ENSEMBLE = dict(type='MeanAggregator')


@pytest.fixture(scope='module')
def model():
    return shake(make_model())


def outputs_of(model, data):
    inputs = model.data_preprocessor(data, training=False)['inputs']
    return model.head.outputs(model.backbone(inputs))


# --------------------------------------------------------------------------------- the loss


def test_the_loss_is_the_sum_of_supervision_ensemble_and_ramped_divergence(model):
    model.train()
    model.head.distiller.set_progress(0.2)
    data = batch()
    outputs = outputs_of(model, data)
    losses = run(model, 'loss', data)
    targets = torch.stack([sample.gt_fields.heatmaps for sample in data['data_samples']])
    mse, kl = KeypointMSELoss(), KLHeatmapLoss()
    final_heatmaps = [stages[-1] for stages in outputs.heatmaps]
    expected = dict(
        loss_kpt=sum(mse(maps, targets) for maps in final_heatmaps),
        loss_ens=mse(outputs.ensemble, targets),
        loss_kd=4
        * sum(kl(maps, outputs.ensemble) for maps in final_heatmaps)
        * torch.exp(torch.tensor(-5 * (1 - 0.2 / 0.4) ** 2)),
    )
    assert set(losses) == {*expected, 'acc_pose'}
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-4, atol=1e-6)
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(expected.values()), rtol=1e-4, atol=1e-6)


def test_unlabeled_keypoints_train_nothing(model):
    data = batch()
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    model.train()
    losses = run(model, 'loss', data)
    model.zero_grad(set_to_none=True)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize('deployed', [0, 2, ENSEMBLE])
def test_the_logged_accuracy_is_that_of_the_deployed_output(deployed):
    model = shake(make_model(test_cfg=dict(branch=deployed))).train()
    data = batch()
    outputs = outputs_of(model, data)
    maps = outputs.ensemble if deployed == ENSEMBLE else outputs.heatmaps[deployed][-1]
    others = [m for m in (*outputs.final_heatmaps, outputs.ensemble) if not torch.equal(m, maps)]
    # Targets that are met by the deployed output in half of the keypoints, and by no other.
    targets = maps.detach().clone()
    targets[:, ::2] = targets[:, ::2].flip(-1, -2)
    for sample, target in zip(data['data_samples'], targets, strict=True):
        sample.gt_fields.heatmaps = target
    expected = _pck(maps, targets)
    assert run(model, 'loss', data)['acc_pose'] == pytest.approx(expected)
    assert all(_pck(other, targets) < expected for other in others)


def _pck(maps, targets):
    mask = torch.ones(maps.shape[:2]).bool()
    return pose_pck_accuracy(maps.detach().numpy(), targets.numpy(), mask.numpy())[1]


def test_a_person_with_other_keypoints_is_refused_with_both_shapes():
    data = batch()
    other = batch(keypoints=6)
    data['data_samples'][0] = other['data_samples'][0]
    with pytest.raises(UserError, match=r'\(6, .*\), \(17, .*keypoints of the metainfo'):
        run(make_model().train(), 'loss', data)


def test_the_accuracy_can_be_left_out():
    model = make_model(train_cfg=dict(compute_acc=False))
    assert 'acc_pose' not in run(model, 'loss')


def test_stacked_stages_are_all_supervised_and_taught():
    """A CPM head: every branch has a heatmap per stage; the final one counts in the ensemble."""
    stages = dict(
        type='CPMHead',
        in_channels=8,
        out_channels=NUM_KEYPOINTS,
        num_stages=2,
        deconv_out_channels=None,
        loss=[dict(type='KeypointMSELoss', loss_weight=w) for w in (1.0, 10.0)],
        decoder=CODEC,
    )
    backbone = dict(
        type='HourglassNet',
        downsample_times=1,
        num_stacks=2,
        stage_channels=(256, 8),
        stage_blocks=(1, 1),
        feat_channel=8,
    )
    model = shake(make_model(backbone=backbone, head=stages, split='whole')).train()
    model.head.distiller.set_progress(1.0)
    data = batch()
    outputs = outputs_of(model, data)
    assert [len(stages) for stages in outputs.heatmaps] == [2, 2, 2]
    targets = torch.stack([sample.gt_fields.heatmaps for sample in data['data_samples']])
    losses = run(model, 'loss', data)
    expected = sum(
        weight * KeypointMSELoss()(maps, targets)
        for branch in outputs.heatmaps
        for weight, maps in zip((1.0, 10.0), branch, strict=True)
    )
    torch.testing.assert_close(losses['loss_kpt'], expected, rtol=1e-4, atol=1e-6)
    ensemble_loss = 10 * KeypointMSELoss()(outputs.ensemble, targets)
    torch.testing.assert_close(losses['loss_ens'], ensemble_loss, rtol=1e-4, atol=1e-6)
    taught = sum(
        KLHeatmapLoss()(m, outputs.ensemble) for branch in outputs.heatmaps for m in branch
    )
    torch.testing.assert_close(losses['loss_kd'], 4 * taught, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------ the ensemble


def test_the_ensemble_is_convex_in_the_branches(model):
    outputs = outputs_of(model.eval(), batch())
    final_heatmaps = outputs.final_heatmaps
    assert (outputs.ensemble <= final_heatmaps.amax(0) + 1e-5).all()
    assert (outputs.ensemble >= final_heatmaps.amin(0) - 1e-5).all()
    assert outputs.weights.shape == (2, 3, NUM_KEYPOINTS)


def test_an_aggregator_that_no_term_trains_is_refused():
    terms = dict(
        loss_kpt=dict(type='SupervisedTerm', of='branches'), loss_kd=dict(type='DistillTerm')
    )
    distiller = dict(type='Distiller', terms=terms)
    with pytest.raises(UserError, match=r'\(loss_kpt, loss_kd\) trains the FAU. Add loss_ens'):
        make_model(distiller=distiller)
    model = make_model(distiller=distiller, aggregator=MEAN_ENSEMBLE)
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


# --------------------------------------------------------------------------------- bad heads


def test_a_regression_head_is_refused():
    codec = dict(type='RegressionLabel', input_size=INPUT_SIZE)
    regression = dict(
        type='RegressionHead', in_channels=64, num_joints=NUM_KEYPOINTS, decoder=codec
    )
    with pytest.raises(UserError, match='RegressionHead does not predict heatmaps or SimCC'):
        make_model('resnet', head=regression)


def test_an_integral_regression_head_is_refused():
    codec = dict(
        type='IntegralRegressionLabel',
        input_size=INPUT_SIZE,
        heatmap_size=HEATMAP_SIZE,
        sigma=2.0,
    )
    dsnt = dict(
        type='DSNTHead',
        in_channels=64,
        in_featuremap_size=(2, 2),
        num_joints=NUM_KEYPOINTS,
        decoder=codec,
    )
    with pytest.raises(UserError, match='DSNTHead does not predict heatmaps'):
        make_model('resnet', head=dsnt)


def test_a_head_with_offsets_is_refused():
    codec = dict(
        type='UDPHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, heatmap_type='combined'
    )
    with pytest.raises(UserError, match="heatmap_type='combined'.*Use heatmap_type='gaussian'"):
        make_model(codec=codec, head=head(8, codec, deconv=None, out_channels=3 * NUM_KEYPOINTS))


def test_a_head_with_a_loss_of_its_own_is_refused():
    mspn = dict(
        type='MSPNHead',
        out_shape=HEATMAP_SIZE[::-1],
        unit_channels=8,
        out_channels=NUM_KEYPOINTS,
        num_stages=1,
        num_units=1,
        loss=[dict(type='KeypointMSELoss')],
        level_indices=[0],
        decoder=CODEC,
    )
    with pytest.raises(UserError, match='MSPNHead .* one loss each. Use'):
        make_model('resnet', head=mspn)


def test_a_head_without_a_decoder_is_refused():
    with pytest.raises(UserError, match='HeatmapHead has no decoder. Set model.head.decoder'):
        make_model(head=head(8, codec=None, deconv=None))


def test_a_head_with_another_codec_is_refused():
    codec = dict(type='SimCCLabel', input_size=INPUT_SIZE)
    with pytest.raises(UserError, match='SimCCLabel encodes no heatmaps.*HeatmapHead'):
        make_model(codec=codec)


def test_a_head_that_predicts_visibility_too_is_refused_for_that():
    both = dict(type='VisPredictHead', pose_cfg=head(8, deconv=None))
    with pytest.raises(UserError, match=r'visibility.*its pose_cfg \(HeatmapHead\) as the head'):
        make_model(head=both)


def test_branches_that_disagree_about_the_keypoints_are_refused():
    with pytest.raises(UserError, match=r'predict \[17, 16\] keypoints; they must agree'):
        make_model(branches=[{}, dict(head=dict(out_channels=16))])


def test_branches_whose_heatmaps_differ_in_size_are_refused_when_built():
    small = dict(head=dict(deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4)))
    with pytest.raises(UserError, match=r'sizes \[\(16, 16\), \(8, 8\)\] \(H, W\)'):
        make_model('resnet', branches=[{}, small])


def test_targets_of_another_size_are_refused_with_both_shapes():
    model = make_model()
    data = batch(heatmap_size=(12, 8))
    with pytest.raises(
        UserError, match=r'branch0 .*\(2, 17, 16, 16\).* targets have \(2, 17, 8, 12\)'
    ):
        run(model, 'loss', data)


def test_targets_with_other_keypoints_are_refused_with_both_shapes():
    with pytest.raises(UserError, match=r'\(2, 17, 16, 16\).*\(2, 5, 16, 16\)'):
        run(make_model(), 'loss', batch(keypoints=5))


# ------------------------------------------------------------------------------ other heads


def test_a_vipnas_head_works_like_the_plain_one():
    vipnas = dict(
        type='ViPNASHead',
        in_channels=64,
        out_channels=NUM_KEYPOINTS,
        deconv_out_channels=(8, 8, 8),
        deconv_num_groups=(4, 4, 4),
        decoder=CODEC,
    )
    model = shake(make_model('resnet', head=vipnas)).train()
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    model.eval()
    assert model(images(), None, mode='tensor').shape == (2, NUM_KEYPOINTS, 16, 16)
