"""Hook that keeps the EMA copy of the model up to date."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from ..model import model_of


@HOOKS.register_module()
class EMAUpdateHook(Hook):
    """Updates ``model.ema`` after every optimizer step.

    :class:`~okdhp_mm.engine.DistillProgressHook`, which every training config has, adds it, because
    a method changes only the model of a config. A config without that hook needs
    ``custom_hooks=[dict(type='EMAUpdateHook')]``.
    """

    priority = 'NORMAL'  # before the CheckpointHook and the validation

    def before_train(self, runner) -> None:
        """Copy the loaded weights if the training is a new one."""
        model = model_of(runner)
        if model.ema is not None:
            model.ema.start(model)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Update the copy, unless the step only accumulated gradients."""
        model = model_of(runner)
        if model.ema is not None and runner.optim_wrapper.should_update():
            model.ema.update(model)
