"""Load an exported student."""

from __future__ import annotations

from pathlib import Path

from mmpose.apis import init_model
from mmpose.models.pose_estimators.base import BasePoseEstimator

from ..io.checkpoint import safe_loader
from .files import CHECKPOINT, CONFIG, student_files


def load_student(folder: Path) -> BasePoseEstimator:
    """Load the stock estimator in a folder, on the CPU.

    Raises:
        UserError: If there is none.
    """
    files = student_files(folder, CONFIG, CHECKPOINT)
    with safe_loader():
        return init_model(*map(str, files), device='cpu')
