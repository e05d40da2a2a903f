"""A stacked hourglass as it is trained: trunk stages count once, and the total is the authors'."""

import copy
import math
from pathlib import Path

import pytest
import torch
from common import (
    CODEC,
    NUM_KEYPOINTS,
    batch,
    build,
    images,
    make_model,
    run,
    shake,
    stock_model,
    student_weights,
)
from mmengine.config import Config

from okdhp_mm.models.losses import KLHeatmapLoss

BASE = Path(__file__).parents[2] / 'configs' / '_base_'
STACKS, SHARED, BRANCHES = 3, 2, 3


def network(stacks=STACKS, loss=None, final_layer=None):
    return dict(
        backbone=dict(
            type='StackedHourglass',
            num_stacks=stacks,
            num_keypoints=NUM_KEYPOINTS,
            feat_channels=16,
            depth=2,
        ),
        head=dict(
            type='CPMHead',
            in_channels=NUM_KEYPOINTS,
            out_channels=NUM_KEYPOINTS,
            num_stages=stacks,
            deconv_out_channels=None,
            final_layer=final_layer,
            loss=loss or dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=CODEC,
        ),
    )


def hourglass(split=f'stack{SHARED}', loss=None, final_layer=None, **changes):
    return shake(make_model(**network(loss=loss, final_layer=final_layer), split=split, **changes))


def targets_of(data):
    samples = data['data_samples']
    heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in samples])
    weights = torch.cat([sample.gt_instance_labels.keypoint_weights for sample in samples])
    return heatmaps, weights


def some_hidden(data):
    for i, sample in enumerate(data['data_samples']):
        sample.gt_instance_labels.keypoint_weights[:, i::3] = 0
    return data


def outputs_of(model, data):
    inputs = model.data_preprocessor(copy.deepcopy(data), training=False)['inputs']
    return model.head.outputs(model.backbone(inputs))


# ---------------------------------------------------------------------- the authors' total


def slow_mse(o, g, w):
    """(1/J) sum_j 0.5 mean_{b,p} (w_bj o - w_bj g)^2."""
    joints = o.shape[1]
    total = 0
    for j in range(joints):
        difference = o[:, j] * w[:, j, None, None] - g[:, j] * w[:, j, None, None]
        total = total + 0.5 * (difference**2).mean()
    return total / joints


def slow_kl(o, m, w):
    """(1/(B N)) sum_b sum_j sum_p q_p (log q_p - log p_p), q and p softmaxes over the pixels."""
    batch_size, joints, height, width = o.shape
    total = 0
    for b in range(batch_size):
        for j in range(joints):
            q = (w[b, j] * m[b, j]).flatten().softmax(0)
            p = (w[b, j] * o[b, j]).flatten().softmax(0)
            total = total + (q * (q.log() - p.log())).sum()
    return total / (batch_size * height * width)


def slow_total(model, data, epoch, length):
    """sum_o L_mse + 1 L_mse(m_E) + 2 r(e) sum_o L_kl over all stacks, those of the trunk once."""
    g, w = targets_of(data)
    backbone, aggregator = model.backbone, model.head.aggregator
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)['inputs']
    x = backbone.trunk.stem(inputs)
    every, final_heatmaps = [], []
    for stack in backbone.trunk.stacks:
        x, score = stack(x)
        every.append(score)
    for top in backbone.branches:
        own = x
        for stack in top.stacks:
            own, score = stack(own)
            every.append(score)
        final_heatmaps.append(score)
    weights = aggregator(x)
    ensemble = sum(weights[:, t, :, None, None] * final for t, final in enumerate(final_heatmaps))
    assert len(every) == SHARED + BRANCHES * (STACKS - SHARED)
    ramp = math.exp(-5 * (1 - min(epoch, length) / length) ** 2)
    return (
        sum(slow_mse(o, g, w) for o in every)
        + 1.0 * slow_mse(ensemble, g, w)
        + 2.0 * ramp * sum(slow_kl(o, ensemble, w) for o in every)
    )


@pytest.mark.parametrize('epoch', [0, 30, 60, 149])
def test_the_official_preset_is_the_total_that_the_authors_write(epoch):
    official = Config.fromfile(BASE / 'methods' / 'okdhp_official.py').method
    model = hourglass(aggregator=official.aggregator, distiller=official.distiller).train()
    assert model.head.aggregator.form == 'released'
    model.head.distiller.set_progress(epoch / 150)
    data = some_hidden(batch())
    gradients = []
    totals = []
    for total in (
        lambda: model.parse_losses(run(model, 'loss', data))[0],
        lambda: slow_total(model, data, epoch, 60),
    ):
        model.zero_grad(set_to_none=True)
        totals.append(total())
        totals[-1].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(totals[0], totals[1], rtol=1e-5, atol=0)
    assert (gradients[0] - gradients[1]).norm() <= 1e-4 * gradients[1].norm()


# ------------------------------------------------------------------------ stages of the trunk


@pytest.mark.parametrize(('split', 'shared'), [('stem', 0), ('stack1', 1), ('stack2', 2)])
def test_the_grid_holds_the_stages_of_the_trunk_once(split, shared):
    outputs = outputs_of(hourglass(split).eval(), batch())
    assert len(outputs.trunk) == shared
    assert [len(stages) for stages in outputs.heatmaps] == [STACKS - shared] * BRANCHES
    every = [*outputs.trunk, *(maps for stages in outputs.heatmaps for maps in stages)]
    assert torch.equal(outputs.all_stages, torch.stack(every))
    assert torch.equal(
        outputs.final_heatmaps, torch.stack([stages[-1] for stages in outputs.heatmaps])
    )


def test_every_stage_keeps_its_own_criterion_and_the_trunks_counts_once():
    weights = (1.0, 10.0, 100.0)
    loss = [dict(type='KeypointMSELoss', loss_weight=weight) for weight in weights]
    model = hourglass(loss=loss).train()
    data = batch()
    g, _ = targets_of(data)
    outputs = outputs_of(model, data)
    losses = run(model, 'loss', data)
    mse = [((maps - g) ** 2).mean() for maps in outputs.trunk]
    final = sum(((stages[-1] - g) ** 2).mean() for stages in outputs.heatmaps)
    torch.testing.assert_close(
        losses['loss_kpt'], mse[0] + 10 * mse[1] + 100 * final, rtol=1e-4, atol=1e-6
    )
    kl = KLHeatmapLoss()
    every = [*outputs.trunk, *(stages[-1] for stages in outputs.heatmaps)]
    taught = sum(kl(maps, outputs.ensemble) for maps in every)
    torch.testing.assert_close(losses['loss_kd'], 4 * taught, rtol=1e-4, atol=1e-6)


def test_a_stage_of_the_trunk_under_layers_of_the_heads_is_each_branchs_own():
    model = hourglass(final_layer=dict(kernel_size=1)).train()
    outputs = outputs_of(model, batch())
    assert outputs.trunk == ()
    assert [len(stages) for stages in outputs.heatmaps] == [STACKS] * BRANCHES
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_branches_of_different_depth_share_the_trunks_stages():
    deeper = dict(backbone=dict(num_stacks=4), head=dict(num_stages=4))
    model = hourglass(branches=[{}, deeper]).train()
    outputs = outputs_of(model, batch())
    assert len(outputs.trunk) == SHARED
    assert [len(stages) for stages in outputs.heatmaps] == [1, 2]
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('split', ['stem', 'stack1', 'stack2'])
def test_every_parameter_gets_a_gradient(split):
    model = hourglass(split)
    model.init_weights()
    model.train()
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@torch.no_grad()
def test_each_branch_is_the_stock_estimator_with_its_weights_bit_for_bit():
    model = hourglass().eval()
    stock = build(stock_model(**network())).eval()
    for m in range(BRANCHES):
        stock.load_state_dict(student_weights(model, m), strict=True)
        theirs = stock(images(), None, mode='tensor')
        ours, _ = model.head.branch_forward(model.backbone(images(), [m]), m)
        assert all(map(torch.equal, ours, theirs))
