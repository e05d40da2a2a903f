"""A method is a sentence of terms."""

import logging

import pytest
import torch
from common import make_model
from mmengine.logging import MMLogger
from mmpose.models.losses import KeypointMSELoss

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import Distiller, GaussianRampUp
from okdhp_mm.models.estimator import OKDHP_TERMS
from okdhp_mm.structures import BranchFeatures, BranchOutputs, NetworkSpec, Targets

SPEC = NetworkSpec(branches=3, keypoints=5, shared_channels=4, provided=frozenset({'ensemble'}))


@pytest.fixture
def example():
    heatmaps = torch.rand(3, 2, 5, 8, 6)
    features = BranchFeatures(torch.rand(2, 4, 8, 6), {})
    outputs = BranchOutputs(tuple((maps,) for maps in heatmaps), features, ensemble=heatmaps[0])
    criteria = ((KeypointMSELoss(),),) * 3
    return outputs, Targets(torch.rand(2, 5, 8, 6), torch.ones(2, 5), criteria)


@pytest.fixture
def warnings():
    """Return the warnings that are logged while a runner's logger is the current one."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def test_its_losses_have_the_names_of_its_terms(example):
    losses = Distiller(OKDHP_TERMS, SPEC)(*example)
    assert list(losses) == ['loss_kpt', 'loss_ens', 'loss_kd']
    assert all(loss.shape == () and loss > 0 for loss in losses.values())


def test_progress_scales_what_is_scheduled_only(example):
    distiller = Distiller(OKDHP_TERMS, SPEC)
    distiller.set_progress(1.0)
    at_end = distiller(*example)
    distiller.set_progress(0.1)
    early = distiller(*example)
    assert early['loss_kpt'] == at_end['loss_kpt']
    assert early['loss_ens'] == at_end['loss_ens']
    factor = GaussianRampUp()(torch.tensor(0.1))
    torch.testing.assert_close(early['loss_kd'], factor * at_end['loss_kd'])


def test_the_progress_is_not_in_the_checkpoint():
    assert list(Distiller(OKDHP_TERMS, SPEC).state_dict()) == []


@pytest.mark.parametrize('name', ['kpt', 'kd_loss', 'acc'])
def test_a_term_that_mmengine_would_not_add_up_is_refused(name):
    with pytest.raises(UserError, match=f"'{name}' must be named loss_"):
        Distiller({name: dict(type='SupervisedTerm', of='branches')}, SPEC)


def test_a_sentence_without_words_is_refused():
    for terms in ({}, dict(loss_kd=None)):
        with pytest.raises(UserError, match='terms is empty'):
            Distiller(terms, SPEC)


def test_none_leaves_a_term_out(example):
    assert list(Distiller(OKDHP_TERMS | dict(loss_kd=None), SPEC)(*example)) == [
        'loss_kpt',
        'loss_ens',
    ]
    model = make_model(distiller=dict(terms=dict(loss_kd=None)))
    assert list(model.head.distiller.terms) == ['loss_kpt', 'loss_ens']


def test_a_missing_hook_is_told_once(example, warnings):
    distiller = Distiller(OKDHP_TERMS, SPEC)
    for _ in range(3):
        distiller(*example)
    assert len(warnings) == 1
    assert 'loss_kd: the schedule has its final value from the start' in warnings[0]
    assert 'DistillProgressHook' in warnings[0]


def test_nothing_is_told_where_the_hook_reports_or_nothing_is_scheduled(example, warnings):
    told = Distiller(OKDHP_TERMS, SPEC)
    told.set_progress(0.0)
    told(*example)
    Distiller(dict(loss_kpt=dict(type='SupervisedTerm', of='branches')), SPEC)(*example)
    assert warnings == []
