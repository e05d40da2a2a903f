"""Data types that cross folders."""

from dataclasses import replace

import torch

from okdhp_mm.structures import BranchFeatures, BranchOutputs


def test_the_final_heatmaps_are_stacked_once():
    first, second = torch.rand(2, 2, 5, 4, 4)
    outputs = BranchOutputs(((first,), (second,)), BranchFeatures(torch.rand(2, 8, 4, 4), {}))
    assert torch.equal(outputs.final_heatmaps, torch.stack([first, second]))
    filled = outputs.aggregated(second, weights := torch.rand(2, 2, 5), peer_targets := first[None])
    assert filled.final_heatmaps is outputs.final_heatmaps
    assert (filled.ensemble, filled.weights, filled.peer_targets) == (second, weights, peer_targets)
    assert outputs.ensemble is None
    assert filled.heatmaps is outputs.heatmaps
    other = replace(filled, heatmaps=((second,), (first,)))
    assert torch.equal(other.final_heatmaps, torch.stack([second, first]))
