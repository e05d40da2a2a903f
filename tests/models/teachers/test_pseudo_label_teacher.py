"""The teacher that replays keypoints of another model."""

import copy

import numpy as np
import pytest
import torch
from common import batch, make_model, run

from okdhp_mm.errors import UserError

TERMS = dict(
    loss_kpt=dict(type='SupervisedTerm', of='branches'),
    loss_teacher=dict(type='DistillTerm', teacher='pseudo_labels'),
)
SIMCC = dict(type='SimCCLabel', input_size=(64, 64), sigma=4.0, simcc_split_ratio=2.0)
SIMCC_HEAD = dict(
    type='SimCCHead',
    in_channels=64,
    out_channels=17,
    input_size=(64, 64),
    in_featuremap_size=(2, 2),
    simcc_split_ratio=2.0,
    deconv_out_channels=None,
    loss=dict(type='KLDiscretLoss', use_target_weight=True),
    decoder=SIMCC,
)


def student(**changes):
    return make_model(
        'resnet',
        branches=2,
        teacher=dict(type='PseudoLabelTeacher'),
        distiller=dict(type='Distiller', terms=TERMS),
        aggregator=dict(type='MeanAggregator'),
        **changes,
    ).train()


def with_pseudo_labels(data, scores):
    """The data, whose labels are the pseudo-labels too, with these scores."""
    for sample, own in zip(data['data_samples'], scores, strict=True):
        pseudo = copy.deepcopy(sample)
        pseudo.gt_instance_labels.keypoint_weights = torch.as_tensor(own)[None]
        sample.set_field(pseudo, 'pseudo_labels')
    return data


def test_its_weights_are_the_scores_and_labels_do_not_matter():
    model = student()
    scores = torch.zeros(2, 17)
    scores[0, 3], scores[1, 5] = 0.25, 1.0
    data = with_pseudo_labels(batch(), scores)
    seen = []
    model.head.distiller.terms['loss_teacher'].register_forward_pre_hook(
        lambda term, args: seen.append(args[0])
    )
    both = run(model, 'loss', data)['loss_teacher']
    assert torch.equal(seen[0].teacher_weights, scores)
    expected = torch.stack([sample.gt_fields.heatmaps for sample in data['data_samples']])
    assert torch.equal(seen[0].teacher, expected)
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    unlabeled = run(model, 'loss', data)
    assert unlabeled['loss_kpt'] == 0
    assert unlabeled['loss_teacher'].item() == pytest.approx(both.item(), rel=1e-5)
    assert both > 0


def test_encoded_labels_become_logits_of_a_simcc_head():
    model = student(head=SIMCC_HEAD, codec=SIMCC)
    adapter = model.head.adapter
    targets = adapter.encode(np.full((1, 17, 2), 20.0, np.float32), np.ones((1, 17), np.float32))
    x, y = adapter.targets_to_maps(targets).squeeze(-2).split(adapter.bins, -1)
    expected, _ = targets.squeeze(-2).split(adapter.bins, -1)
    assert torch.allclose(torch.softmax(x * adapter.beta, -1), expected, atol=1e-4)
    assert (x.argmax(-1) == 40).all()
    assert (y.argmax(-1) == 40).all()


def test_data_without_pseudo_labels_is_refused():
    with pytest.raises(UserError, match='the training data has no pseudo-labels'):
        run(student(), 'loss')
