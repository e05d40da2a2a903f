"""Parameters and multiply-adds of a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.analysis import FlopAnalyzer
from mmpose.models.pose_estimators.base import BasePoseEstimator


@dataclass(frozen=True)
class Complexity:
    """Cost of a network.

    Attributes:
        parameters: Number of parameters.
        flops: Multiply-adds of one image at the codec's input size.
    """

    parameters: int
    flops: int

    def __str__(self):
        return f'{self.parameters / 1e6:.3f} M parameters, {self.flops / 1e9:.3f} GFLOPs'


def complexity(model: BasePoseEstimator) -> Complexity:
    """Parameters and multiply-adds at the codec's input size."""
    parameters = sum(p.numel() for p in model.parameters())
    return Complexity(parameters=parameters, flops=flop_analyzer(model).total())


def flop_analyzer(model: BasePoseEstimator) -> FlopAnalyzer:
    """Return the analyzer of a stock network's multiply-adds, at the codec's input size.

    The network is put in evaluation mode, and does not decode any more.
    """
    width, height = model.head.decoder.input_size
    model.eval()
    model.forward = model._forward  # as mmpose's get_flops does: heatmaps without decoding
    analyzer = FlopAnalyzer(model, torch.zeros(1, 3, height, width))
    # It does not count additions and batch norms, and would warn about them.
    return analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
