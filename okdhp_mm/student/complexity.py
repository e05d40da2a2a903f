"""Parameters and multiply-adds of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Complexity:
    """Cost of a network.

    Attributes:
        parameters: Number of parameters.
        flops: Multiply-adds of one image at the codec's input size.
        size: Bytes of the weights.
    """

    parameters: int
    flops: int
    size: int

    def __str__(self):
        return f'{self.parameters / 1e6:.3f} M parameters, {self.flops / 1e9:.3f} GFLOPs'


def complexity(
    model: BasePoseEstimator,
    forward: Callable[[Tensor], Any] | None = None,
    select: Callable[[Tensors], Tensors] = dict,
) -> Complexity:
    """Return the cost of a network or of a part of it.

    Args:
        model: The network. It is put in eval mode.
        forward: Function that runs the part on images; by default the network without decoding.
        select: Function that selects the tensors of the part, by name; by default all.
    """
    state = select(model.state_dict())
    return Complexity(
        parameters=sum(p.numel() for p in select(dict(model.named_parameters())).values()),
        flops=count_flops(model, forward)[''],
        size=sum(value.numel() * value.element_size() for value in state.values()),
    )


def count_flops(
    model: BasePoseEstimator, forward: Callable[[Tensor], Any] | None = None
) -> Counter[str]:
    """Count the multiply-adds of every module for one image at the codec's input size.

    Args:
        model: The network. It is put in eval mode.
        forward: Function that runs a part of it on images; by default the network without decoding.

    Returns:
        The multiply-adds by the path of the module; '' has the total.
    """
    width, height = model.head.decoder.input_size
    image = next(model.parameters()).new_zeros(1, 3, height, width)
    with torch.no_grad():
        analyzer = FlopAnalyzer(_Part(model, forward or model._forward).eval(), image)
        # It does not count additions and batch norms, and would warn about them.
        quiet = analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        flops = quiet.tracer_warnings('none').by_module()
    return Counter({name.removeprefix('model.'): count for name, count in flops.items()})


class _Part(nn.Module):
    """Part of a model as a module, because the analyzer traces modules."""

    def __init__(self, model: nn.Module, run: Callable[[Tensor], Any]):
        super().__init__()
        self.model = model
        self.run = run

    def forward(self, images: Tensor):
        return self.run(images)
