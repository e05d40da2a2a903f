"""Where to cut: what the families offer, and a sensible point when nobody says."""

from __future__ import annotations

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from .models.backbones.branched import WHOLE
from .models.backbones.splits import FAMILIES, find_family


def half_way(network: nn.Module) -> str:
    """The split point with about half of the network's multiply-adds below it, or 'whole'."""
    family = find_family(FAMILIES, network.backbone)
    if family is None:
        return WHOLE
    width, height = network.head.decoder.input_size
    network.eval()
    network.forward = network._forward  # as mmpose's get_flops does: heatmaps without decoding
    analyzer = FlopAnalyzer(network, torch.zeros(1, 3, height, width))
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    flops = analyzer.by_module()
    below, shares = 0, {}
    for step in family.steps(network.backbone):
        below += sum(flops[f'backbone.{path}'] for path in step.children)
        shares[step.name] = below / flops['']
    shares[WHOLE] = shares.pop(step.name)  # after the last step
    return min(shares, key=lambda point: abs(shares[point] - 0.5))
