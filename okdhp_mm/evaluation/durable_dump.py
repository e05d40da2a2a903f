"""Write the predictions of a test so that a crash leaves the old file or the new one."""

from __future__ import annotations

import mmengine
from mmengine.evaluator import DumpResults
from mmengine.logging import print_log
from mmpose.registry import METRICS

from ..io.backend import ATOMIC


@METRICS.register_module()
class DurableDumpResults(DumpResults):
    """mmengine's ``DumpResults`` with a file that is complete or as it was before."""

    def compute_metrics(self, results: list) -> dict:
        """Write the predictions to the file."""
        mmengine.dump(results, self.out_file_path, backend_args=dict(backend=ATOMIC))
        print_log(f'The predictions are in {self.out_file_path}.', 'current')
        return {}
