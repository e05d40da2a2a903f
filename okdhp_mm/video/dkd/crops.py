"""Geometry of the crops of two frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmpose.structures import PoseDataSample
from torch import Tensor


def crop_matrix(sample: PoseDataSample) -> np.ndarray:
    """Return the map from pixels of the image to places in the crop, from -1 to 1, (3, 3)."""
    meta = sample.metainfo
    angle = np.deg2rad(meta.get('input_rotation', 0.0))
    half = np.asarray(meta['input_scale'], float) / 2
    # mmpose rotates the crop's axes by the angle, see get_warp_matrix.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn / half[:, None]
    matrix[:2, 2] = -matrix[:2, :2] @ np.asarray(meta['input_center'], float)
    return matrix


def warp_between(last: Sequence[PoseDataSample], current: Sequence[PoseDataSample]) -> Tensor:
    """Return where the places of the current crops were in the last ones, (B, 2, 3).

    See :func:`~okdhp_mm.video.dkd.simple.move`.
    """
    matrices = [
        crop_matrix(before) @ np.linalg.inv(crop_matrix(now))
        for before, now in zip(last, current, strict=True)
    ]
    return torch.from_numpy(np.stack(matrices)[:, :2]).float()
