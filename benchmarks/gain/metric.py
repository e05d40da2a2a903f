"""PCKh as mmpose computes it, and the area under its curve, which is less noisy."""

from __future__ import annotations

import numpy as np
from mmpose.evaluation.functional import keypoint_pck_accuracy
from mmpose.evaluation.metrics import MpiiPCKAccuracy
from mmpose.registry import METRICS

THRESHOLDS = np.linspace(0, 0.5, 51)
NOT_COUNTED = (6, 7)  # pelvis and thorax, as in the stock metric


@METRICS.register_module()
class PckhCurve(MpiiPCKAccuracy):
    """``PCK`` at 0.5 of the head size, and ``AUC``: the mean of PCKh over 0 to 0.5, both in %."""

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the stock metrics and the area."""
        predicted, truth, mask, head = (
            np.concatenate([result[key] for result in results])
            for key in ('pred_coords', 'gt_coords', 'mask', 'head_size')
        )
        labeled = mask.sum(0).astype(float)
        labeled[list(NOT_COUNTED)] = 0
        # MPII counts pixels from 1.
        hits = [
            keypoint_pck_accuracy(predicted + 1, truth, mask, threshold, head)[0] @ labeled
            for threshold in THRESHOLDS
        ]
        curve = 100 * np.array(hits) / labeled.sum()
        area = (curve[1:] + curve[:-1]).mean() / 2
        return super().compute_metrics(results) | dict(AUC=float(area))
