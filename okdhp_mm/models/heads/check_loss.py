"""Check that the loss of a stock head can train its maps."""

from __future__ import annotations

import numpy as np
import torch
from mmpose.models.losses.heatmap_loss import CombinedTargetMSELoss
from torch import Tensor, nn

from ...errors import UserError, own_line, reason_of
from ...structures import Criterion
from .adapters import HeadAdapter

MISCALLED = (
    AssertionError,
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that a loss for other outputs can raise."""


# A model may be built in inference mode.
@torch.inference_mode(False)
def check_loss(adapter: HeadAdapter) -> None:
    """Check that the loss of a head and its gradient are finite for maps of either sign.

    Args:
        adapter: The adapter of the head.

    Raises:
        UserError: If the loss cannot be computed, or is not a finite number.
    """
    head = adapter.head
    center = np.divide(head.decoder.input_size, 2, dtype=np.float32)
    keypoints = np.tile(center, (1, head.out_channels, 1))
    targets = adapter.encode(keypoints, np.ones(keypoints.shape[:2], np.float32))
    targets = targets.repeat(2, 1, 1, 1)
    module = head.loss_module
    losses = module if isinstance(module, nn.ModuleList) else [module]
    for loss, criterion in zip(losses, adapter.criteria(1), strict=True):
        if problem := problem_of(loss, criterion, targets):
            raise UserError(
                f"model.head.loss=dict(type='{type(loss).__name__}') {problem}. Choose a loss for "
                f'{adapter.signature}, as the stock configs of {type(head).__name__} do.'
            )


def problem_of(loss: nn.Module, criterion: Criterion, targets: Tensor) -> str | None:
    """Return a description of the problem with a loss, or None."""
    if isinstance(loss, CombinedTargetMSELoss):
        return "takes every three maps for one keypoint of a codec with heatmap_type='combined'"
    # A network can predict negative and positive values.
    maps = torch.linspace(-1, 1, targets.numel()).view_as(targets).requires_grad_()
    # In an unlabeled batch all weights are zero.
    for labeled in (1.0, 0.0):
        weights = torch.full(targets.shape[:2], labeled)
        try:
            with torch.enable_grad():
                value = criterion(maps, targets * labeled, weights)
                if not isinstance(value, Tensor) or value.dim():
                    return 'does not return a single number'
                (gradient,) = torch.autograd.grad(value, maps)
        except MISCALLED as error:
            if own_line(error):
                raise
            return f'cannot be called with (output, target, target_weights) ({reason_of(error)})'
        if not (value.isfinite() and gradient.isfinite().all()):
            return f'is not finite for {"maps below zero" if labeled else "unlabeled persons"}'
    return None
