"""Contrastive term: the features of the branches are views of the same joints."""

from __future__ import annotations

from itertools import permutations

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from mmpose.registry import MODELS
from torch import Tensor, nn

from ....errors import UserError, check_choice
from ....structures import BranchOutputs, NetworkSpec, Targets
from .base import Term

JOINTS, IMAGES = 'joints', 'images'
TARGET, OWN = 'target', 'own'


@MODELS.register_module()
class ContrastiveTerm(Term):
    """Contrastive loss: a joint has similar features in two branches, other joints do not.

    Contrastive loss of MCL-OKD (Yang et al., ICASSP 2021, https://arxiv.org/abs/2006.04093). For
    every ordered pair of branches (i, j) and every labeled joint a of the batch::

        -log( exp(e_i(a) e_j(a) / tau) / sum_b exp(e_i(a) e_j(b) / tau) )

    b runs over a itself and its negatives. ``e_m`` (M, K, B, embed_dims) is an L2-normalized
    linear projection of branch m's head features (B, C_m, H, W). The features are first averaged
    over the pixels, weighted with a heatmap of the joint. The loss is the mean over the joints and
    the pairs. It is 0, with a gradient of zeros, for a batch without labeled joints or without
    negatives.

    Differences from the paper:

    - The paper embeds images, this term embeds joints.
    - In the paper, negatives are images of other classes. Joints have no classes, see
      ``negatives``.
    - The paper draws negatives from a memory of the whole dataset and estimates the softmax by
      NCE. Here the negatives come from the batch and from ``bank``, and the softmax is exact. The
      gradient reaches both anchors and keys, as in the authors' later MCL.

    Args:
        spec: See :class:`Term`.
        embed_dims: Length of an embedding. The default is the authors'.
        negatives: 'joints' for every other labeled joint of the batch, which also separates left
            from right; or 'images' for only the same joint of other images, which separates
            persons.
        pool_by: Heatmap that weights the pixels. 'target' is the ground truth, equal for all
            branches and usable from the first step on. 'own' is the branch's own final heatmap,
            clamped at 0 and detached, because the term should shape the features and not move the
            joints.
        bank: Number of stored embeddings per joint and branch. The newest embeddings of earlier
            batches are further negatives. Use fewer than the dataset has images, otherwise a
            joint is its own negative. Every process stores the embeddings of all processes.
        tau: Temperature of the softmax. The default is the authors'.
        loss_weight: Factor of the term. At 3e-4, its gradient relative to that of the branches'
            MSE is 0.4 to 0.6 in the first step. From the 20th step on, it is 0.1 to 0.3 at the
            features and 0.03 to 0.15 at the trunk's parameters (network of the demo, also at
            192x256). The authors' 0.025 applies to a sum over pairs and a cross-entropy.
        schedule: See :class:`Term`.

    Raises:
        UserError: If a setting is out of its range, there is only one branch, or, at the start of
            a training, the batches are too small to have negatives.

    Source: written from the equations; tau and embed_dims as in
    https://github.com/winycg/MCL-OKD.
    """

    requires = frozenset({'head_features'})
    bank: Tensor

    def __init__(
        self,
        spec: NetworkSpec,
        embed_dims: int = 128,
        negatives: str = JOINTS,
        pool_by: str = TARGET,
        bank: int = 0,
        tau: float = 0.1,
        loss_weight: float = 3e-4,
        schedule=None,
    ):
        super().__init__(spec, schedule)
        check_choice('ContrastiveTerm: negatives', negatives, (JOINTS, IMAGES))
        check_choice('ContrastiveTerm: pool_by', pool_by, (TARGET, OWN))
        if embed_dims < 1:
            raise UserError(f'ContrastiveTerm: embed_dims={embed_dims} must be at least 1.')
        if bank < 0:
            raise UserError(
                f'ContrastiveTerm: bank={bank} must not be negative. Set 0 for no bank.'
            )
        if not tau > 0:
            raise UserError(f'ContrastiveTerm: tau={tau} must be positive.')
        if spec.branches < 2:
            raise UserError(
                'ContrastiveTerm: branches=1, but one branch has no other to agree with. Set '
                'branches=2 or more.'
            )
        self.negatives = negatives
        self.pool_by = pool_by
        self.bank_size = bank
        self.tau = tau
        self.loss_weight = loss_weight
        self.projections = nn.ModuleList(
            nn.Linear(channels, embed_dims) for channels in spec.head_channels
        )
        # Entries of zeros are empty. Without a pointer or flags, hooks that average the buffers of
        # all processes, such as mmengine's, do not change the bank.
        empty = torch.zeros(spec.branches, spec.keypoints, bank, embed_dims)
        self.register_buffer('bank', empty, persistent=bank > 0)

    def check_batch(self, batch_size: int | None) -> None:  # noqa: D102
        alone = self.negatives == IMAGES or self.bank.shape[1] == 1
        if batch_size == 1 and alone and not self.bank_size:
            raise UserError(
                f'ContrastiveTerm: batches of one image have no negatives={self.negatives!r} of '
                f'its {self.bank.shape[1]} keypoints. Increase train_dataloader.batch_size, or '
                'keep embeddings of earlier batches (bank=64).'
            )

    @property
    def is_distillation(self) -> bool:  # noqa: D102
        # The term acts on features. Its gradient at the heatmaps would be measured as zero.
        return False

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        labeled = targets.weights.T > 0
        # Autocast could run the dot products below in half precision.
        with torch.autocast(labeled.device.type, enabled=False):
            embeddings = self._embeddings(outputs, targets)
            value = self._mean_nce(embeddings, labeled)
        if self.training and self.bank_size:
            self._remember(embeddings * labeled[..., None])
        return self.loss_weight * value

    def _embeddings(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """Compute unit vectors, (M, K, B, embed_dims)."""
        features = outputs.head_features
        by_target = self.pool_by == TARGET
        heatmaps = targets.heatmaps[None] if by_target else outputs.final_heatmaps.detach()
        height, width = features[0].shape[-2:]
        shares = pixel_shares(heatmaps, (height, width))
        pooled = (
            torch.einsum('bkp,bcp->kbc', share, feature.float().flatten(-2))
            for share, feature in zip(
                shares.expand(len(features), -1, -1, -1), features, strict=True
            )
        )
        embeddings = [
            projection(vector) for projection, vector in zip(self.projections, pooled, strict=True)
        ]
        return F.normalize(torch.stack(embeddings), dim=-1)

    def _mean_nce(self, embeddings: Tensor, labeled: Tensor) -> Tensor:
        """Average the loss over labeled joints, (K, B), and ordered pairs of branches."""
        anchors = self._grouped(embeddings)
        keys = torch.cat([anchors, self._grouped(self.bank)], dim=2)
        is_anchor = self._grouped(labeled.expand(len(anchors), -1, -1))
        is_key = torch.cat([is_anchor, self._grouped(self.bank.any(-1))], dim=2)
        pairs = list(permutations(range(len(anchors)), 2))
        total = sum(
            torch.where(is_anchor[i], info_nce(anchors[i], keys[j], is_key[j], self.tau), 0).sum()
            for i, j in pairs
        )
        return total / (len(pairs) * labeled.sum().clamp(min=1))

    def _grouped(self, entries: Tensor) -> Tensor:
        """Group entries into sets of negatives, (M, K, n, ...) -> (M, sets, size of a set, ...)."""
        return entries if self.negatives == IMAGES else entries.flatten(1, 2).unsqueeze(1)

    @torch.no_grad()
    def _remember(self, embeddings: Tensor) -> None:
        """Add embeddings of a batch, (M, K, B, embed_dims), to the bank. Zeros mean no entry."""
        entries = torch.cat([*all_gather(embeddings.detach()), self.bank], dim=2)
        # The sort must be stable: it moves empty entries to the end and keeps the newest first.
        order = entries.any(-1).int().argsort(dim=-1, descending=True, stable=True)
        newest = order[..., : self.bank_size, None]
        self.bank.copy_(entries.take_along_dim(newest, dim=2))


def pixel_shares(heatmaps: Tensor, size: tuple[int, int]) -> Tensor:
    """Compute pixel weights for a feature map of a size, (n, B, K, H, W) -> (n, B, K, H'*W')."""
    maps = F.adaptive_avg_pool2d(heatmaps.float().clamp(min=0).flatten(0, 2), size)
    maps = maps.flatten(-2).unflatten(0, heatmaps.shape[:3])
    return maps / maps.sum(-1, keepdim=True).clamp(min=1e-6)


def info_nce(anchors: Tensor, keys: Tensor, is_key: Tensor, tau: float) -> Tensor:
    """Compute the InfoNCE loss of every anchor. Its positive key has the same index.

    Args:
        anchors: Unit vectors, (sets, n, embed_dims).
        keys: Unit vectors, (sets, n + any number of others, embed_dims).
        is_key: Mask of the keys to use, (sets, n + any number of others).
        tau: Temperature.

    Returns:
        Loss in nats, (sets, n). Values are finite but meaningless if the positive key is masked.
    """
    logits = anchors @ keys.transpose(-1, -2) / tau
    # Minus infinity would give NaN, and NaN gradients, for a set without keys.
    logits = logits.masked_fill(~is_key[:, None], torch.finfo(logits.dtype).min)
    return logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)
