"""Copy of the model with averaged weights (exponential moving average)."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...errors import UserError

WARM_UP = 10


class EMA(nn.Module):
    """Exponential moving average of a model's parameters and buffers, batch norms' included.

    Update t (0, 1, ...) moves the average by ``max(momentum, 10 / (10 + t))`` of the way to the
    model. So the first update copies: it comes before the first training step, and the others
    after every optimizer step, see :class:`~okdhp_mm.engine.hooks.EMAUpdateHook`. Mean
    teacher (Tarvainen & Valpola, NeurIPS 2017, https://arxiv.org/abs/1703.01780) and PCL have
    ``1 / (1 + t)``, by which all steps count alike in the first thousand, the bad ones of the
    beginning too: after 800 steps such a copy had a PCKh of 15.3 and the model itself one of 18.4.
    mmengine's averages, which have the 10 as ``gamma``, keep tensors by reference and do not follow
    a model to another device.

    Args:
        model: The model, before it keeps this copy.
        momentum: Share of the newest weights, in (0, 1).

    Attributes:
        started: Whether a training keeps the copy up to date.

    Raises:
        UserError: If the momentum is not in (0, 1).
    """

    def __init__(self, model: nn.Module, momentum: float = 0.001):
        super().__init__()
        if not 0 < momentum < 1:
            raise UserError(f'ema: momentum={momentum} must be a share in (0, 1).')
        self.momentum = momentum
        self.module = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer('steps', torch.zeros(()))
        self.started = False

    def train(self, mode: bool = True) -> EMA:
        """Stay in evaluation mode: the averaged statistics are the copy's own."""
        return super().train(False)

    def start(self, model: nn.Module) -> None:
        """Prepare for a training: copy the model unless a checkpoint has earlier updates."""
        if self.steps == 0:
            self.update(model)
        self.started = True

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present weights."""
        pairs = list(tensor_pairs(self.module, model))
        if counters := [pair for pair in pairs if not pair[0].is_floating_point()]:
            torch._foreach_copy_(*zip(*counters, strict=True))
        averages, present = zip(*(p for p in pairs if p[0].is_floating_point()), strict=True)
        # A tensor on the device: no step waits for the host.
        share = (WARM_UP / (self.steps + WARM_UP)).clamp(min=self.momentum)
        steps = torch._foreach_sub(present, averages)
        torch._foreach_mul_(steps, share)
        torch._foreach_add_(averages, steps)
        self.steps += 1


def tensor_pairs(average: nn.Module, model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every tensor in the state dict of a copy with its namesake in the model.

    Modules that both share, such as a frozen teacher, are left out. Tensors that only the model has
    are not averaged.
    """
    if average is model:
        return
    # Faster than state dicts, which make the full name of every tensor.
    for name, parameter in average._parameters.items():
        if parameter is not None:
            yield parameter, model._parameters[name]
    for name, buffer in average._buffers.items():
        if buffer is not None and name not in average._non_persistent_buffers_set:
            yield buffer, model._buffers[name]
    for name, child in average._modules.items():
        if child is not None:
            yield from tensor_pairs(child, model._modules[name])
