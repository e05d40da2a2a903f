"""Warn when the heatmaps of unlabeled images collapse."""

from __future__ import annotations

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

PEAK = 'train/unlabeled_peak'
WINDOW = 50
"""Steps with unlabeled images that a mean is taken over."""
START = 0.1
"""Share of the training before which heights are not compared: the first ones are noise."""


@HOOKS.register_module()
class CollapseHook(Hook):
    """Hook that warns once if the peaks of the branches on unlabeled images become flat.

    Teacher and branches agree best on empty heatmaps. So a wrong balance of the losses can end
    there. The hook compares the mean height of the peaks with the best earlier mean. It reads what
    mmengine's ``RuntimeInfoHook`` has already fetched, so no step waits for the device.
    :class:`~okdhp_mm.engine.DistillProgressHook` adds it to a model with ``unlabeled``.

    Args:
        share: Warn if the mean falls below this share of the best one.
    """

    priority = 'NORMAL'

    def __init__(self, share: float = 0.5):
        self.share = share
        self.best = 0.0
        self.warned = False

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Compare the latest peaks with the best ones."""
        scalars = runner.message_hub.log_scalars
        started = runner.iter >= START * runner.max_iters
        if self.warned or PEAK not in scalars or not started or not is_main_process():
            return
        if (runner.iter + 1) % WINDOW:
            return
        height = scalars[PEAK].mean(WINDOW)
        self.best = max(self.best, height)
        if height < self.share * self.best:
            self.warned = True
            runner.logger.warning(
                f'The heatmaps of unlabeled images collapse: their mean peak is {height:.3f}, and '
                f'was {self.best:.3f}. Lower the loss_weight of the UnlabeledTerm, make the views '
                'easier (model.unlabeled.views), or start from pretrained weights.'
            )
