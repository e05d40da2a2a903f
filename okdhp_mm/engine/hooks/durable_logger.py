"""Logger hook that writes test metrics completely or not at all."""

from __future__ import annotations

from pathlib import Path

import mmengine
from mmengine.hooks import LoggerHook
from mmpose.registry import HOOKS

from ...io.backend import ATOMIC


@HOOKS.register_module()
class DurableLoggerHook(LoggerHook):
    """mmengine's ``LoggerHook``. A full disk never leaves half a file of test metrics."""

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        """Log the metrics of a test, and write them to a file."""
        tag, text = runner.log_processor.get_log_after_epoch(
            runner, len(runner.test_dataloader), 'test', with_non_scalar=True
        )
        runner.logger.info(text)
        file = Path(runner.log_dir) / self.json_log_path
        mmengine.dump(self._process_tags(tag), file, backend_args=dict(backend=ATOMIC))
