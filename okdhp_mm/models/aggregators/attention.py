"""Attention between peers: one weighted mean of the peers as the teacher of each peer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError
from ...structures import BranchOutputs, Targets
from .base import Aggregator


@MODELS.register_module()
class PeerAttention(Aggregator):
    """Attention over peers and a group leader.

    Its teachers are used by :class:`~okdhp_mm.models.distillers.PeerDistillTerm`.

    OKDDip (Chen et al., AAAI 2020, https://arxiv.org/abs/1912.00350). One branch is the leader,
    which is deployed. The others are its peers. Peer i computes its heatmaps ``h_i`` from a
    feature map, and ``f_i`` is the mean of this map over space.

    - The teacher of peer i is ``t_i = sum_j a_ij h_j``, ``a_i = softmax_j(<Q f_i, K f_j>)``, over
      the peers.
    - The teacher of the leader is the mean of the peers, which is also the ensemble.

    Different teachers keep the peers different. With one teacher for all, they become similar.

    Args:
        in_channels: Channels C of the shared feature.
        num_branches: M.
        num_keypoints: K.
        branch_channels: Channels of every branch's head features.
        leader: Index of the leader; deploy it (``test_cfg.branch``).
        key_channels: Width of queries and keys.

    Raises:
        UserError: If the leader does not exist, or the peers' features differ in their channels.
    """

    min_branches = 3  # With two, the only peer would be its own teacher.
    requires = frozenset({'head_features'})
    provides = frozenset({'ensemble', 'peer_targets'})

    def __init__(
        self,
        in_channels: int,
        num_branches: int,
        num_keypoints: int,
        branch_channels: Sequence[int],
        leader: int = 0,
        key_channels: int = 8,
        init_cfg=None,
    ):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        if leader not in range(num_branches):
            raise UserError(
                f'PeerAttention: leader={leader} does not exist; valid are 0 to {num_branches - 1}.'
            )
        if key_channels < 1:
            raise UserError(f'PeerAttention: key_channels={key_channels} must be at least 1.')
        self.leader = leader
        self.peers = [m for m in range(num_branches) if m != leader]
        channels = {branch_channels[m] for m in self.peers}
        if len(channels) > 1:
            raise UserError(
                'PeerAttention compares the features of the peers, but they have '
                f'{[branch_channels[m] for m in self.peers]} channels. Set equal channels.'
            )
        (in_features,) = channels
        self.query = nn.Linear(in_features, key_channels, bias=False)
        self.key = nn.Linear(in_features, key_channels, bias=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Compute the attention of peer i to peer j, P x (B, C, H, W) -> (B, P, P)."""
        pooled = torch.stack([feature.mean((-2, -1)) for feature in features], 1)
        return torch.softmax(self.query(pooled) @ self.key(pooled).mT, dim=-1)

    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """Add the mean of the peers and the teacher of every branch."""
        # Indexing `final_heatmaps` with a list would make the GPU wait for the indices.
        heatmaps = torch.stack([outputs.heatmaps[m][-1] for m in self.peers])
        attention = self.forward([outputs.head_features[m] for m in self.peers])
        ensemble = heatmaps.mean(0)
        peer_targets = list(torch.einsum('bij,jbkhw->ibkhw', attention, heatmaps))
        peer_targets.insert(self.leader, ensemble)
        return outputs.aggregated(ensemble, peer_targets=torch.stack(peer_targets))
