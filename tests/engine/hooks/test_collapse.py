"""The guard against empty heatmaps of unlabeled images."""

from types import SimpleNamespace

import pytest
from common import okdhp_model
from mmengine.logging import HistoryBuffer
from runs import Noise, loader, runner_of

from okdhp_mm.engine.hooks.collapse import PEAK, WINDOW, CollapseHook
from okdhp_mm.recipes.methods import apply_method

STEPS = 1000


def warnings_of(heights, hook=None):
    """Return the warnings of a training with these heights, one per step."""
    said, history = [], HistoryBuffer()
    runner = SimpleNamespace(
        max_iters=STEPS,
        message_hub=SimpleNamespace(log_scalars={PEAK: history}),
        logger=SimpleNamespace(warning=said.append),
    )
    hook = hook or CollapseHook()
    for step, height in enumerate(heights):
        history.update(height)
        runner.iter = step
        hook.after_train_iter(runner, 0)
    return said


@pytest.mark.parametrize(
    'heights',
    [
        [0.5] * STEPS,
        [step / STEPS for step in range(STEPS)],
        [0.9] * 50 + [0.3] * (STEPS - 50),  # the noise of the start does not count
        [0.5 if step % 2 else 0.2 for step in range(STEPS)],
    ],
)
def test_peaks_that_stay_or_grow_are_no_collapse(heights):
    assert warnings_of(heights) == []


def test_peaks_that_become_flat_are_warned_of_once():
    said = warnings_of([0.6] * 400 + [0.1] * 600)
    assert len(said) == 1
    assert 'mean peak is 0.100, and was 0.600' in said[0]
    assert 'loss_weight of the UnlabeledTerm' in said[0]


def test_a_training_without_unlabeled_images_is_not_watched():
    hub = SimpleNamespace(log_scalars={})
    runner = SimpleNamespace(iter=WINDOW * 10 - 1, max_iters=WINDOW * 20, message_hub=hub)
    CollapseHook().after_train_iter(runner, 0)


class Marked(Noise):
    """Every second sample is unlabeled."""

    def __init__(self, size):
        super().__init__(size)
        for item in self.items[1::2]:
            item['data_samples'].set_metainfo(dict(unlabeled=True))


def test_the_hook_is_added_and_reads_the_log_of_a_real_training(tmp_path, monkeypatch):
    monkeypatch.setattr('okdhp_mm.engine.hooks.collapse.WINDOW', 1)
    model = okdhp_model('resnet')
    apply_method(model, 'okdhp_unlabeled')
    data = loader(6) | dict(dataset=Marked(6))
    runner = runner_of(tmp_path, model, train_dataloader=data)
    runner.train()
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, CollapseHook))
    assert hook.best > 0
    assert 'train/unlabeled_used' in runner.message_hub.log_scalars
    runner = runner_of(tmp_path / 'plain', okdhp_model('resnet'))
    runner.call_hook('before_run')
    assert not any(isinstance(hook, CollapseHook) for hook in runner.hooks)
