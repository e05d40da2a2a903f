"""What crosses from room to room."""

from dataclasses import replace

import torch

from okdhp_mm.structures import BranchFeatures, BranchOutputs


def test_the_final_heatmaps_are_stacked_once():
    first, second = torch.rand(2, 2, 5, 4, 4)
    outputs = BranchOutputs(((first,), (second,)), BranchFeatures(torch.rand(2, 8, 4, 4), {}))
    assert torch.equal(outputs.finals, torch.stack([first, second]))
    filled = outputs.aggregated(second, weights := torch.rand(2, 2, 5), mixtures := first[None])
    assert filled.finals is outputs.finals
    assert (filled.ensemble, filled.weights, filled.mixtures) == (second, weights, mixtures)
    assert outputs.ensemble is None
    assert filled.heatmaps is outputs.heatmaps
    other = replace(filled, heatmaps=((second,), (first,)))
    assert torch.equal(other.finals, torch.stack([second, first]))
