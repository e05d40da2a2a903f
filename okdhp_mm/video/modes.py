"""Build a tracker by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Protocol

import numpy as np

from ..errors import UserError
from .poseflow import PoseFlow, PoseFlowSettings
from .poseflow_released import PoseFlowReleased, PoseFlowReleasedSettings
from .tracker import PoseTracker, TrackerSettings

MODES: dict[str, tuple[Callable[..., Tracker], type]] = dict(
    online=(PoseTracker, TrackerSettings),
    poseflow=(PoseFlow, PoseFlowSettings),
    poseflow_released=(PoseFlowReleased, PoseFlowReleasedSettings),
)


class Tracker(Protocol):
    """Gives the poses of a video identities, see :class:`PoseTracker` for both methods."""

    def update(self, time_s, keypoints, scores, boxes=None) -> np.ndarray:
        """Give the poses of the next frame identities, (N,)."""

    def finish(self) -> list[np.ndarray]:
        """Return the identities of every update so far, named afterwards."""


def build_tracker(mode: str = 'online', history: bool = True, **settings) -> Tracker:
    """Build a tracker.

    Args:
        mode: 'online' is :class:`PoseTracker`, 'poseflow' the rule of the PoseFlow paper as we read
            it, 'poseflow_released' the rule of its released code without image matching.
        history: Keep the identities of every frame for ``finish``.
        settings: Settings of that tracker.

    Raises:
        UserError: If the mode or a setting does not exist, or a value is out of range.
    """
    if mode not in MODES:
        raise UserError(f'mode={mode!r} does not exist. Use one of: {", ".join(MODES)}.')
    tracker, known = MODES[mode]
    names = [field.name for field in fields(known)]
    if unknown := sorted(settings.keys() - set(names)):
        raise UserError(f'mode={mode!r} has no setting {unknown[0]!r}. It has: {", ".join(names)}.')
    for name, value in settings.items():
        if name == 'sigmas' or (name == 'velocity_smoothing' and value is None):
            continue
        if not isinstance(value, (int, float)) or not value >= 0:
            raise UserError(f'{name}={value!r} must be a number that is not negative.')
    try:
        return tracker(history=history, **settings)
    except ValueError as error:
        raise UserError(str(error)) from None
