"""The mean ensemble."""

import torch

from okdhp_mm.models.aggregators import MeanAggregator
from okdhp_mm.structures import BranchFeatures, BranchOutputs


def test_it_is_the_mean_of_the_final_heatmaps_without_parameters_or_weights():
    first, second = torch.rand(2, 2, 5, 4, 4)
    unused = torch.full_like(first, 9.0)
    given = BranchOutputs(((unused, first), (second,)), BranchFeatures(torch.rand(2, 8, 4, 4), {}))
    aggregator = MeanAggregator(8, 2, 5)
    filled = aggregator.aggregate(given)
    torch.testing.assert_close(filled.ensemble, (first + second) / 2)
    assert filled.weights is None
    assert list(aggregator.parameters()) == []
