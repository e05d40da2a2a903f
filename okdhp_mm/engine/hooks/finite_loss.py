"""Stop a training that diverged."""

from __future__ import annotations

import math

from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from ...errors import UserError

ADVICE = 'Lower the learning rate, or look for wrong annotations.'


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops the training after several losses in a row that are NaN or infinite.

    It reads the loss that mmengine's ``RuntimeInfoHook`` has already fetched, so the step does not
    wait for the device. A few are tolerated, because the loss scaler of mixed precision skips such
    steps.

    Args:
        patience: Number of such losses in a row after which to stop.

    Raises:
        UserError: In a step, with the first step without a finite loss and the last checkpoint.
    """

    priority = 'HIGH'  # after RuntimeInfoHook, before a checkpoint is written

    def __init__(self, patience: int = 5):
        self.patience = patience
        self.count = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Count losses that are not finite."""
        if 'train/loss' not in runner.message_hub.log_scalars:
            return
        loss = runner.message_hub.get_scalar('train/loss').current()
        self.count = 0 if math.isfinite(loss) else self.count + 1
        if self.count >= self.patience:
            first = runner.iter + 2 - self.count
            raise UserError(
                f'The loss is {loss} in {self.count} steps in a row, from step {first} on. '
                f'{last_good(runner)} {ADVICE}'
            )


def last_good(runner) -> str:
    """Return a sentence that names the last checkpoint of the training."""
    path = runner.message_hub.runtime_info.get('last_ckpt')
    return f'The last good checkpoint is {path}.' if path else 'No checkpoint was written yet.'
