"""Hook that checks a training at its start, and sets the distiller's progress."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from mmpose.registry import HOOKS

from ...errors import UserError
from ...models.backbones.branched import pretrained_entries
from ...models.weights import fit_checkpoint
from ...models.weights.load_stock import is_branched
from ..model import model_of
from ..optim import layer_decay
from . import EMAUpdateHook
from .collapse import CollapseHook


@HOOKS.register_module()
class DistillProgressHook(Hook):
    """Hook that sets the distiller's progress before every training step.

    A new training can start from the weights of another multi-branch model (``load_from``), see
    :func:`~okdhp_mm.models.weights.fit_checkpoint`. A resumed training cannot.

    The progress is the runner's own iteration count over its maximum, so a resumed run continues
    where it stopped, and the same code serves epoch-based and iteration-based loops.

    Raises:
        UserError: When a training starts, if a term cannot work with the batch size, a frozen
            backbone has no trained weights, or the optimizer constructor does not know the names
            of the layers.
    """

    priority = 'NORMAL'

    def before_run(self, runner) -> None:
        """Add the hooks of the EMA copy and of the unlabeled images if the model has them."""
        added = any(isinstance(hook, EMAUpdateHook) for hook in runner.hooks)
        if getattr(model_of(runner), 'ema', None) is not None and not added:
            # Behind this hook, because the runner is walking its list of hooks.
            runner.register_hook(EMAUpdateHook(), self.priority)
        if getattr(model_of(runner), 'unlabeled', None) is not None:
            runner.register_hook(CollapseHook())

    def before_train(self, runner) -> None:
        """Validate batch size, loaded weights and optimizer constructor."""
        model = model_of(runner)
        model.head.distiller.check_batch(runner.train_dataloader.batch_size)
        if model.freeze_backbone and not (runner._has_loaded or pretrained_entries(model)):
            raise UserError(
                'model.freeze_backbone=True, but nothing was loaded: the head would learn from '
                'features that are not trained. Set load_from=student.pth.'
            )
        constructor = runner.cfg.get('optim_wrapper', {}).get('constructor')
        if constructor == layer_decay.STOCK:
            raise UserError(
                f'optim_wrapper.constructor={constructor!r} knows the layers of the stock network '
                'only. It would train trunk and branches at the full learning rate. Set it to '
                f'{layer_decay.BRANCHED!r}.'
            )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Fit the weights of another multi-branch model to this one if a new training starts."""
        state_dict = checkpoint.get('state_dict', checkpoint)
        starts = isinstance(runner._train_loop, BaseLoop) and not runner._has_loaded
        if starts and not runner._resume and is_branched(state_dict):
            model = model_of(runner)
            fit_checkpoint(model, state_dict, model.symmetry_noise)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set the progress to the share of completed iterations."""
        model_of(runner).head.distiller.set_progress(runner.iter / runner.max_iters)
