"""Outputs of three branches, as an aggregator gets them."""

import pytest
import torch

from okdhp_mm.structures import BranchFeatures, BranchOutputs

B, M, K, C, H, W = 2, 3, 5, 8, 16, 12


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(2)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    return BranchOutputs(
        heatmaps=tuple((maps,) for maps in draw(M, B, K, H, W)),
        features=BranchFeatures(draw(B, C, H, W), {}),
        head_features=tuple(draw(M, B, C, H, W)),
    )
