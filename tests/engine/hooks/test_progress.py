"""The progress of the training reaches the distiller."""

from types import SimpleNamespace

import pytest
import torch
from common import build, make_model, run, shake, stock_model
from mmengine.model import MMDistributedDataParallel
from mmpose.registry import HOOKS
from torch import nn
from torch.utils.data import DataLoader

from okdhp_mm.engine import DistillProgressHook
from okdhp_mm.errors import UserError


class FakeWrapper(MMDistributedDataParallel):
    """Like DDP in what matters here: the model is one attribute further down."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module


def runner_of(model, iteration, max_iters=200):
    return SimpleNamespace(model=model, iter=iteration, max_iters=max_iters, cfg={})


@pytest.fixture(scope='module')
def model():
    return make_model()


@pytest.mark.parametrize('wrap', [lambda model: model, FakeWrapper], ids=['bare', 'wrapped'])
@pytest.mark.parametrize(('iteration', 'progress'), [(0, 0.0), (50, 0.25), (199, 0.995)])
def test_the_progress_is_the_share_of_iterations_that_are_over(model, wrap, iteration, progress):
    hook = HOOKS.build(dict(type='DistillProgressHook'))
    hook.before_train_iter(runner_of(wrap(model), iteration), batch_idx=0)
    assert model.head.distiller.progress.item() == pytest.approx(progress)


def test_an_interrupted_run_continues_where_it_stopped():
    """Not at the start, as a hook that counted by itself would."""
    fresh = make_model()
    DistillProgressHook().before_train_iter(runner_of(fresh, 120), batch_idx=0)
    assert fresh.head.distiller.progress.item() == pytest.approx(0.6)


def contrasting(**settings):
    terms = dict(
        loss_kpt=dict(type='SupervisedTerm', of='branches'),
        loss_mcl=dict(type='ContrastiveTerm', **settings),
    )
    aggregator = dict(type='MeanAggregator')
    return make_model(aggregator=aggregator, distiller=dict(type='Distiller', terms=terms))


@pytest.mark.parametrize(
    ('settings', 'batch_size', 'works'),
    [
        (dict(negatives='images'), 1, False),
        (dict(negatives='images'), 2, True),
        (dict(negatives='images', bank=4), 1, True),
        (dict(negatives='joints'), 1, True),
    ],
)
def test_a_training_without_negatives_does_not_start(settings, batch_size, works):
    runner = runner_of(contrasting(**settings), 0)
    runner.train_dataloader = DataLoader([0] * 4, batch_size=batch_size)
    if works:
        DistillProgressHook().before_train(runner)
    else:
        with pytest.raises(UserError, match="one image have no negatives='images' of its 17"):
            DistillProgressHook().before_train(runner)


@pytest.mark.parametrize('loaded', [True, False])
def test_a_frozen_backbone_has_to_have_been_trained(loaded):
    runner = runner_of(make_model(freeze_backbone=True), 0)
    runner.train_dataloader = DataLoader([0] * 4, batch_size=2)
    runner._has_loaded = loaded
    if loaded:
        DistillProgressHook().before_train(runner)
    else:
        with pytest.raises(UserError, match='nothing was loaded.*load_from=student.pth'):
            DistillProgressHook().before_train(runner)


@pytest.mark.parametrize('init', [dict, lambda **cfg: [cfg, dict(type='Normal', layer='Linear')]])
def test_a_frozen_backbone_may_be_loaded_by_the_models_own_init_cfg(init, tmp_path):
    stock = shake(build(stock_model()))
    torch.save(stock.state_dict(), tmp_path / 'student.pth')
    pretrained = init(type='Pretrained', checkpoint=str(tmp_path / 'student.pth'))
    model = make_model(freeze_backbone=True, init_cfg=pretrained)
    model.init_weights()
    name = 'conv1.weight'
    assert torch.equal(model.backbone.trunk.state_dict()[name], stock.backbone.state_dict()[name])
    runner = runner_of(model, 0)
    runner.train_dataloader = DataLoader([0] * 4, batch_size=2)
    runner._has_loaded = False
    DistillProgressHook().before_train(runner)


def test_the_distillation_ramps_up_with_the_progress_and_supervision_does_not():
    terms = dict(
        loss_kpt=dict(type='SupervisedTerm', of='branches'),
        loss_kd=dict(type='DistillTerm', schedule=dict(type='GaussianRampUp')),
    )
    aggregator = dict(type='MeanAggregator')
    model = make_model(aggregator=aggregator, distiller=dict(type='Distiller', terms=terms)).train()
    hook, losses = DistillProgressHook(), {}
    for iteration in (0, 40, 199):
        hook.before_train_iter(runner_of(model, iteration), batch_idx=0)
        losses[iteration] = run(model, 'loss')
    torch.testing.assert_close(losses[0]['loss_kpt'], losses[199]['loss_kpt'])
    end = losses[199]['loss_kd']
    torch.testing.assert_close(losses[0]['loss_kd'], end * torch.tensor(-5.0).exp())
    torch.testing.assert_close(losses[40]['loss_kd'], end * torch.tensor(-1.25).exp())
