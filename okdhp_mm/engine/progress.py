"""Tells the distiller how much of the training is over."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from ..errors import UserError
from .model import model_of


@HOOKS.register_module()
class DistillProgressHook(Hook):
    """Sets the distiller's progress before every training step.

    The progress is the runner's own iteration count over its maximum, so a resumed run continues
    where it stopped, and epoch-based and iteration-based loops work alike.

    Raises:
        UserError: At the start, if a term cannot work with batches as small as the loader's, or a
            backbone is frozen that was never trained.
    """

    priority = 'NORMAL'

    def before_train(self, runner) -> None:
        """Ask whether there is anything to learn from: batches of this size, these features."""
        model = model_of(runner)
        model.head.distiller.check_batch(runner.train_dataloader.batch_size)
        if model.freeze_backbone and not runner._has_loaded:
            raise UserError(
                'model.freeze_backbone=True, but nothing was loaded: the head would learn from '
                'features that nobody has trained; set load_from=student.pth.'
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set the progress to the share of iterations that are over."""
        model_of(runner).head.distiller.set_progress(runner.iter / runner.max_iters)
