"""A loss that cannot train the maps of a head is refused when the model is built."""

import copy

import pytest
import torch
from common import HEATMAP_SIZE, INPUT_SIZE, NUM_KEYPOINTS, head, make_model, run
from mmpose.registry import MODELS
from torch import nn

from okdhp_mm.errors import CodeError, UserError
from okdhp_mm.models.heads.adapters import find_adapter
from okdhp_mm.models.heads.check_loss import check_loss

REGISTERED = sorted(
    name
    for name, loss in MODELS.module_dict.items()
    if loss.__module__.startswith('mmpose.models.losses')
)
REQUIRED = dict(
    BoneLoss=dict(joint_parents=list(range(NUM_KEYPOINTS))),
    CombinedLoss=dict(losses=dict(a=dict(type='KeypointMSELoss'))),
    FeaLoss=dict(name='a', use_this=True, student_channels=8, teacher_channels=8),
    KDLoss=dict(name='a', use_this=True),
    MultipleLossWrapper=dict(losses=[dict(type='KeypointMSELoss')]),
    OKSLoss=dict(metainfo='configs/_base_/datasets/coco.py'),
    SemiSupervisionLoss=dict(joint_parents=list(range(NUM_KEYPOINTS)), warmup_iterations=0),
)
TRAINING = {
    *('AdaptiveWingLoss', 'BCELoss', 'KeypointMSELoss', 'KeypointOHKMMSELoss', 'L1Loss'),
    *('MPJPELoss', 'MPJPEVelocityJointLoss', 'MSELoss', 'SmoothL1Loss', 'SoftWeightSmoothL1Loss'),
    'VariFocalLoss',
}
REFUSED = {
    *('AssociativeEmbeddingLoss', 'BoneLoss', 'CombinedLoss', 'CombinedTargetMSELoss', 'FeaLoss'),
    *('FocalHeatmapLoss', 'InfoNCELoss', 'IoULoss', 'JSDiscretLoss', 'KDLoss', 'KLDiscretLoss'),
    *('MLECCLoss', 'MultipleLossWrapper', 'OKSLoss', 'RLELoss', 'SemiSupervisionLoss'),
    *('SoftWingLoss', 'WingLoss'),
}
SIMCC = dict(
    type='SimCCHead',
    in_channels=64,
    out_channels=NUM_KEYPOINTS,
    input_size=INPUT_SIZE,
    in_featuremap_size=(2, 2),
    deconv_out_channels=None,
    decoder=dict(type='SimCCLabel', input_size=INPUT_SIZE, sigma=2.0),
)


def loss_of(name, **settings):
    return dict(type=name) | REQUIRED.get(name, {}) | settings


def trained(**changes):
    """Train a tiny model for one step, and return its losses."""
    model = make_model('resnet', **changes).train()
    model.head.distiller.set_progress(1.0)
    total, losses = model.parse_losses(run(model, 'loss'))
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    return losses


@pytest.mark.parametrize('name', REGISTERED)
def test_every_loss_of_mmpose_trains_heatmaps_or_is_refused(name):
    if name in TRAINING:
        assert all(loss.isfinite() for loss in trained(head=head(64, loss=loss_of(name))).values())
        return
    with pytest.raises(UserError, match=rf"^model.head.loss=dict\(type='{name}'\) ") as caught:
        check_loss(find_adapter(MODELS.build(head(64, loss=loss_of(name)))))
    assert not isinstance(caught.value, CodeError)
    assert 'Choose a loss for heatmaps' in str(caught.value)


@pytest.mark.parametrize('name', ['CombinedLoss', 'MultipleLossWrapper', 'FocalHeatmapLoss'])
def test_a_model_with_such_a_loss_is_not_built(name):
    with pytest.raises(UserError, match=name):
        make_model('resnet', head=head(64, loss=loss_of(name)))


def test_the_losses_of_both_kinds_are_all_there_are():
    assert set(REGISTERED) <= TRAINING | REFUSED


@pytest.mark.parametrize('name', ['KeypointMSELoss', 'KeypointOHKMMSELoss', 'AdaptiveWingLoss'])
def test_the_usual_losses_train_with_weights(name):
    losses = trained(head=head(64, loss=loss_of(name, use_target_weight=True)))
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize('name', sorted({*REGISTERED} - {'KLDiscretLoss'}))
def test_simcc_distributions_are_trained_by_no_other_loss_of_mmpose(name):
    adapter = find_adapter(MODELS.build(copy.deepcopy(SIMCC | dict(loss=loss_of(name)))))
    with pytest.raises(UserError, match=f'{name}.*Choose a loss for SimCC') as caught:
        check_loss(adapter)
    assert not isinstance(caught.value, CodeError)


@pytest.mark.parametrize('weighted', [True, False])
def test_simcc_distributions_are_trained_by_their_loss(weighted):
    loss = loss_of('KLDiscretLoss', use_target_weight=weighted)
    check_loss(find_adapter(MODELS.build(copy.deepcopy(SIMCC | dict(loss=loss)))))


def test_more_hard_keypoints_than_there_are_is_refused_with_the_hosts_reason():
    with pytest.raises(UserError, match=r'topk \(18\) should not be larger than num_keypoints'):
        make_model('resnet', head=head(64, loss=loss_of('KeypointOHKMMSELoss', topk=18)))


class Own(nn.Module):
    """A loss of a contributor."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, output, target, target_weights):
        if self.kind == 'bug':
            return self.missing
        error = (output - target).square().mean((2, 3))
        if self.kind == 'labeled':
            return (error * target_weights).sum() / target_weights.sum()
        return dict(vector=error.mean(1), detached=error.mean().detach())[self.kind]


@pytest.mark.parametrize(
    ('kind', 'error', 'reason'),
    [
        ('bug', AttributeError, 'missing'),
        ('labeled', UserError, 'not finite for unlabeled persons'),
        ('vector', UserError, 'does not return a single number'),
        ('detached', UserError, 'does not require grad'),
    ],
)
def test_a_loss_of_a_contributor_is_checked_and_its_bug_is_shown(kind, error, reason):
    stock = MODELS.build(copy.deepcopy(head(64)))
    stock.loss_module = Own(kind)
    with pytest.raises(error, match=reason):
        check_loss(find_adapter(stock))


def test_the_check_changes_no_random_state():
    stock = MODELS.build(copy.deepcopy(head(64)))
    assert HEATMAP_SIZE == tuple(stock.decoder.heatmap_size)
    before = torch.get_rng_state()
    check_loss(find_adapter(stock))
    assert torch.equal(before, torch.get_rng_state())
