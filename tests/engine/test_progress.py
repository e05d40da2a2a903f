"""The progress of the training reaches the distiller."""

from types import SimpleNamespace

import pytest
import torch
from common import make_model, run
from mmengine.model import MMDistributedDataParallel
from mmpose.registry import HOOKS
from torch import nn

from okdhp_mm.engine import DistillProgressHook


class FakeWrapper(MMDistributedDataParallel):
    """Like DDP in what matters here: the model is one attribute further down."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module


def runner_of(model, iteration, max_iters=200):
    return SimpleNamespace(model=model, iter=iteration, max_iters=max_iters)


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


def test_the_distillation_ramps_up_with_the_progress_and_supervision_does_not(model):
    model.train()
    hook, losses = DistillProgressHook(), {}
    for iteration in (0, 40, 199):
        hook.before_train_iter(runner_of(model, iteration), batch_idx=0)
        losses[iteration] = run(model, 'loss')
    torch.testing.assert_close(losses[0]['loss_kpt'], losses[199]['loss_kpt'])
    end = losses[199]['loss_kd']
    torch.testing.assert_close(losses[0]['loss_kd'], end * torch.tensor(-5.0).exp())
    torch.testing.assert_close(losses[40]['loss_kd'], end * torch.tensor(-1.25).exp())
