"""Hook that writes the metrics of a test to a file."""

from __future__ import annotations

import mmengine
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from ...io.backend import ATOMIC


@HOOKS.register_module()
class SaveMetricsHook(Hook):
    """Writes the metrics of a test to a file, completely or not at all.

    Args:
        filename: Path that ends in ``.json``, ``.yaml`` or ``.pkl``.
    """

    def __init__(self, filename: str):
        self.filename = filename

    def after_test_epoch(self, runner, metrics=None) -> None:
        """Write the metrics."""
        mmengine.dump(metrics or {}, self.filename, backend_args=dict(backend=ATOMIC))
