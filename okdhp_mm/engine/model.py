"""Access to the model of a runner."""

from __future__ import annotations

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.models.pose_estimators.base import BasePoseEstimator


def model_of(runner: Runner) -> BasePoseEstimator:
    """Return the model without the wrapper of a distributed run."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
