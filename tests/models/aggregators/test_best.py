"""The best branch of each keypoint."""

import torch

from okdhp_mm.models.aggregators import BestBranch
from okdhp_mm.structures import Targets

B, M, K, C = 2, 3, 5, 8


def test_for_every_keypoint_of_every_image_it_takes_the_branch_with_the_smallest_error(outputs):
    targets = Targets(torch.randn(B, K, 16, 12), torch.ones(B, K), ())
    filled = BestBranch(C, M, K).aggregate(outputs, targets)
    chosen = set()
    for b in range(B):
        for k in range(K):
            errors = [
                (maps[b, k] - targets.heatmaps[b, k]).pow(2).sum()
                for maps in outputs.final_heatmaps
            ]
            best = min(range(M), key=errors.__getitem__)
            chosen.add(best)
            assert torch.equal(filled.ensemble[b, k], outputs.final_heatmaps[best][b, k])
            assert filled.weights[b, :, k].tolist() == [float(m == best) for m in range(M)]
    assert len(chosen) > 1


def test_without_targets_it_is_the_mean(outputs):
    filled = BestBranch(C, M, K).aggregate(outputs)
    torch.testing.assert_close(filled.ensemble, sum(outputs.final_heatmaps) / M)


def test_it_has_nothing_to_learn():
    assert list(BestBranch(C, M, K).parameters()) == []
