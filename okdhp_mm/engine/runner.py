"""Runner of the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook, Hook, LoggerHook
from mmengine.runner import Runner

from ..errors import as_user_error
from ..io.atomic import write_text
from ..io.config import config_text
from ..io.resume import check_resumable
from .hooks import DurableCheckpointHook, DurableLoggerHook, FiniteLossHook

DURABLE = {
    name: durable
    for stock, durable in ((CheckpointHook, DurableCheckpointHook), (LoggerHook, DurableLoggerHook))
    for name in (stock, stock.__name__, f'mmengine.{stock.__name__}')
}
"""Hooks that replace those of mmengine."""


class DurableRunner(Runner):
    """mmengine's runner, with hooks that keep a training's files whole and its weights finite.

    The hooks are not added to the config, because stock mmpose must be able to read the copy of it
    that a training writes.
    """

    def register_hook(self, hook: Hook | dict, priority: int | str | None = None) -> None:
        """Register a hook, or its replacement in ``DURABLE``."""
        if isinstance(hook, dict) and hook.get('type') in DURABLE:
            hook = {**hook, 'type': DURABLE[hook['type']]}
        super().register_hook(hook, priority)

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register the default hooks, and :class:`FiniteLossHook`."""
        super().register_default_hooks(hooks)
        self.register_hook(FiniteLossHook())

    def load_checkpoint(self, filename: str, *args, **kwargs) -> dict:
        """Load a checkpoint. Check the entries that a resumed training reads."""
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        if self._resume:
            check_resumable(checkpoint, filename)
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume a training.

        Raises:
            UserError: If the checkpoint is of a training with other parameters or optimizers.
        """
        kinds = (LookupError, TypeError, ValueError)
        with as_user_error(f'{filename} cannot be resumed by this config', *kinds):
            super().resume(filename, *args, **kwargs)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedules of the config's ``param_scheduler``.

        Raises:
            UserError: If they do not fit the length of the training, or each other.
        """
        kinds = (AssertionError, LookupError, TypeError, ValueError)
        with as_user_error('param_scheduler does not fit the training', *kinds):
            return super().build_param_scheduler(scheduler)

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work directory."""
        filename = self.cfg.filename
        name = Path(filename).name if filename else f'{self.timestamp}.py'
        text = config_text(self.cfg) if name.endswith('.py') else self.cfg.dump()
        write_text(Path(self.work_dir) / name, text)
