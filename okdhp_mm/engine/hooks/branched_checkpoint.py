"""Hook that rejects stock checkpoints in tests of multi-branch models."""

from __future__ import annotations

from mmengine.hooks import Hook

from ...models.weights.load_stock import check_branched, is_branched
from ..model import model_of


class BranchedCheckpointHook(Hook):
    """Refuses stock checkpoints in tests of branches. They can only start a training."""

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check the weights before the model loads them."""
        if is_branched(model_of(runner).state_dict()):
            check_branched(checkpoint.get('state_dict', checkpoint), runner.cfg.load_from)
