"""Attention over peers, and their leader."""

import pytest
import torch

from okdhp_mm.errors import UserError
from okdhp_mm.models.aggregators import PeerAttention
from okdhp_mm.structures import BranchOutputs

B, M, K, C = 2, 3, 5, 8


def make(leader=0, branches=M, channels=(C,) * M):
    torch.manual_seed(0)
    return PeerAttention(C, branches, K, branch_channels=channels, leader=leader)


def permuted(outputs, order):
    """The same branches in another order."""
    return BranchOutputs(
        heatmaps=tuple(outputs.heatmaps[m] for m in order),
        features=outputs.features,
        head_features=tuple(outputs.head_features[m] for m in order),
    )


@pytest.mark.parametrize('leader', range(M))
def test_each_peer_gets_its_own_mixture_and_the_leader_the_mean(outputs, leader):
    attention = make(leader)
    filled = attention.aggregate(outputs)
    peers = [m for m in range(M) if m != leader]
    mean = sum(outputs.final_heatmaps[m] for m in peers) / len(peers)
    torch.testing.assert_close(filled.ensemble, mean)
    torch.testing.assert_close(filled.peer_targets[leader], mean)
    for b in range(B):
        pooled = {m: outputs.head_features[m][b].mean((-2, -1)) for m in peers}
        for i in peers:
            query = attention.query.weight @ pooled[i]
            scores = torch.stack([query @ (attention.key.weight @ pooled[j]) for j in peers])
            shares = scores.exp() / scores.exp().sum()
            mixture = sum(
                share * outputs.final_heatmaps[j][b] for share, j in zip(shares, peers, strict=True)
            )
            torch.testing.assert_close(filled.peer_targets[i][b], mixture)


def test_no_index_goes_to_the_device(outputs):
    with torch.profiler.profile() as profile:
        make(1).aggregate(outputs)
    operators = {event.key for event in profile.key_averages()}
    assert 'aten::stack' in operators
    assert 'aten::index' not in operators


def test_equal_logits_teach_every_peer_the_mean(outputs):
    attention = make()
    torch.nn.init.zeros_(attention.query.weight)
    filled = attention.aggregate(outputs)
    for mixture in filled.peer_targets:
        torch.testing.assert_close(mixture, filled.ensemble)


def test_permuting_the_peers_permutes_their_teachers(outputs):
    attention = make()
    first = attention.aggregate(outputs)
    second = attention.aggregate(permuted(outputs, [0, 2, 1]))
    torch.testing.assert_close(second.peer_targets, first.peer_targets[[0, 2, 1]])
    torch.testing.assert_close(second.ensemble, first.ensemble)


def test_the_attention_learns_by_the_mixtures(outputs):
    attention = make()
    (attention.aggregate(outputs).peer_targets * torch.randn(M, B, K, 16, 12)).sum().backward()
    assert attention.query.weight.grad.any()
    assert attention.key.weight.grad.any()


@pytest.mark.parametrize('leader', [3, -1])
def test_a_leader_that_does_not_exist_is_refused(leader):
    with pytest.raises(UserError, match=f'leader={leader} does not exist; valid are 0 to 2'):
        make(leader)


def test_one_peer_alone_is_refused():
    with pytest.raises(UserError, match='branches=2: PeerAttention needs at least 3'):
        make(branches=2, channels=(C, C))


def test_peers_of_different_width_are_refused_and_the_leaders_width_is_free():
    with pytest.raises(UserError, match=r'they have \[8, 4\] channels'):
        make(channels=(C, C, 4))
    make(channels=(4, C, C))
