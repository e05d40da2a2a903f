"""The term in which the features of the branches are views of the same joints."""

from __future__ import annotations

from itertools import permutations

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError
from ...structures import BranchOutputs, NetworkSpec, Targets
from .terms import Term

JOINTS, IMAGES = 'joints', 'images'
TARGET, OWN = 'target', 'own'


@MODELS.register_module()
class Contrast(Term):
    """A joint looks alike to two branches, and other joints look different.

    MCL-OKD (Yang et al., ICASSP 2021, https://arxiv.org/abs/2006.04093), its contrastive loss,
    for every ordered pair of branches (i, j) and every labelled joint a of the batch::

        -log( exp(e_i(a) e_j(a) / tau) / sum_b exp(e_i(a) e_j(b) / tau) )

    b runs over a itself and its negatives, and ``e_m`` (M, K, B, embed_dims) is the L2-normalised
    linear projection of branch m's head features (B, C_m, H, W), averaged over the pixels
    with a heatmap of the joint as weights. The mean over the joints and the pairs; 0, with a
    gradient of zeros, for a batch without a labelled joint or without any negative.

    What differs from the paper: there an embedding is of an image, here of a joint; its negatives
    are images of other classes, of which joints have none, here see ``negatives``; it draws them
    from a memory of the whole data set and estimates the softmax by NCE, here they are those of
    the batch (the gradient reaches anchors and keys alike, as in the authors' later MCL) and of
    ``bank``, with the softmax itself.

    Args:
        embed_dims: Length of an embedding; the authors'.
        negatives: 'joints': every other labelled joint of the batch, which tells left from right
            as well; or 'images': only the same joint of other images, which tells people apart.
        pool_by: 'target': the ground truth's heatmap says where a joint is, for all branches
            alike, from the first step on; or 'own': the branch's own final heatmap, clamped at 0,
            as a constant, for the term is to shape the features and not to move the joints.
        bank: How many embeddings of each joint and branch, the newest ones of earlier batches,
            are negatives as well; fewer than the data set has images, or a joint meets itself.
            All processes keep those of all.
        tau: Temperature of the softmax; the authors'.
        loss_weight: Factor of the term. At 3e-4 its gradient, relative to that of the branches'
            MSE, is 0.4 to 0.6 in the first step, and from the 20th on 0.1 to 0.3 on the features
            and 0.03 to 0.15 on the trunk's parameters (the demo's network, also at 192x256). The
            authors' 0.025 is for a sum over pairs beside a cross-entropy.
        schedule: See :class:`Term`.

    Raises:
        UserError: If a setting is out of its range, there is only one branch, or, when a training
            starts, there can be no negatives.

    Source: written from the equations; tau and embed_dims as in
    https://github.com/winycg/MCL-OKD.
    """

    needs_head_features = True

    def __init__(
        self,
        embed_dims: int = 128,
        negatives: str = JOINTS,
        pool_by: str = TARGET,
        bank: int = 0,
        tau: float = 0.1,
        loss_weight: float = 3e-4,
        schedule=None,
    ):
        super().__init__(schedule)
        if negatives not in (JOINTS, IMAGES):
            raise UserError(
                f'Contrast: negatives={negatives!r} is neither {JOINTS!r} nor {IMAGES!r}.'
            )
        if pool_by not in (TARGET, OWN):
            raise UserError(f'Contrast: pool_by={pool_by!r} is neither {TARGET!r} nor {OWN!r}.')
        if embed_dims < 1:
            raise UserError(f'Contrast: embed_dims={embed_dims} must be at least 1.')
        if bank < 0:
            raise UserError(f'Contrast: bank={bank} must not be negative; 0 keeps none.')
        if not tau > 0:
            raise UserError(f'Contrast: tau={tau} must be positive.')
        self.embed_dims = embed_dims
        self.negatives = negatives
        self.pool_by = pool_by
        self.bank_size = bank
        self.tau = tau
        self.loss_weight = loss_weight

    def setup(self, spec: NetworkSpec) -> None:  # noqa: D102
        if spec.branches < 2:
            raise UserError(
                'Contrast: one branch has no other to agree with; set branches=2 or more.'
            )
        self.projections = nn.ModuleList(
            nn.Linear(channels, self.embed_dims) for channels, _, _ in spec.head_features
        )
        # Entries of zeros are empty. No pointer and no flags beside it: hooks that average the
        # buffers of all processes, as mmengine's do, leave it as it is.
        empty = torch.zeros(spec.branches, spec.keypoints, self.bank_size, self.embed_dims)
        self.register_buffer('bank', empty, persistent=self.bank_size > 0)

    def check_batch(self, batch_size: int | None) -> None:  # noqa: D102
        alone = self.negatives == IMAGES or self.bank.shape[1] == 1
        if batch_size == 1 and alone and not self.bank_size:
            raise UserError(
                f'Contrast: batches of one image have no negatives={self.negatives!r} of its '
                f'{self.bank.shape[1]} keypoints; raise train_dataloader.batch_size or keep a '
                'bank of earlier ones (bank=64).'
            )

    @property
    def distils(self) -> bool:  # noqa: D102
        return False  # it moves features; its gradient at the heatmaps would be measured as none

    def value(self, outputs: BranchOutputs, targets: Targets) -> Tensor:  # noqa: D102
        labelled = targets.weights.T > 0
        # What is float32 below stays so: autocast may run dot products in half precision.
        with torch.autocast(labelled.device.type, enabled=False):
            embeddings = self._embeddings(outputs, targets)
            value = self._mean_nce(embeddings, labelled)
        if self.training and self.bank_size:
            self._remember(embeddings * labelled[..., None])
        return self.loss_weight * value

    def _embeddings(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """Unit vectors, (M, K, B, embed_dims)."""
        features = outputs.head_features
        by_target = self.pool_by == TARGET
        heatmaps = targets.heatmaps[None] if by_target else outputs.finals.detach()
        shares = pixel_shares(heatmaps, features[0].shape[-2:])
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

    def _mean_nce(self, embeddings: Tensor, labelled: Tensor) -> Tensor:
        """Mean over labelled joints, (K, B), and ordered pairs of branches."""
        anchors = self._grouped(embeddings)
        keys = torch.cat([anchors, self._grouped(self.bank)], dim=2)
        is_anchor = self._grouped(labelled.expand(len(anchors), -1, -1))
        is_key = torch.cat([is_anchor, self._grouped(self.bank.any(-1))], dim=2)
        pairs = list(permutations(range(len(anchors)), 2))
        total = sum(
            torch.where(is_anchor[i], info_nce(anchors[i], keys[j], is_key[j], self.tau), 0).sum()
            for i, j in pairs
        )
        return total / (len(pairs) * labelled.sum().clamp(min=1))

    def _grouped(self, entries: Tensor) -> Tensor:
        """Sets of entries that are told apart, (M, K, n, ...) -> (M, sets, size of a set, ...)."""
        return entries if self.negatives == IMAGES else entries.flatten(1, 2).unsqueeze(1)

    @torch.no_grad()
    def _remember(self, embeddings: Tensor) -> None:
        """Put a batch's embeddings, zeros where there is none, (M, K, B, embed_dims), first."""
        entries = torch.cat([*all_gather(embeddings.detach()), self.bank], dim=2)
        # Stable: what is left of the newest comes first, and what is empty last.
        order = entries.any(-1).int().argsort(dim=-1, descending=True, stable=True)
        newest = order[..., : self.bank_size, None]
        self.bank.copy_(entries.take_along_dim(newest, dim=2))


def pixel_shares(heatmaps: Tensor, size: tuple[int, int]) -> Tensor:
    """Shares of the pixels of a feature map of this size, (n, B, K, H, W) -> (n, B, K, H'*W')."""
    maps = F.adaptive_avg_pool2d(heatmaps.float().clamp(min=0).flatten(0, 2), size)
    maps = maps.flatten(-2).unflatten(0, heatmaps.shape[:3])
    return maps / maps.sum(-1, keepdim=True).clamp(min=1e-6)


def info_nce(anchors: Tensor, keys: Tensor, is_key: Tensor, tau: float) -> Tensor:
    """Surprise of every anchor at which key is its own: the one with the same index.

    Args:
        anchors: Unit vectors, (sets, n, embed_dims).
        keys: Unit vectors, (sets, n + any number of others, embed_dims).
        is_key: Which of the keys count, (sets, n + any number of others).
        tau: Temperature.

    Returns:
        Nats, (sets, n); finite, but without meaning where the own key does not count.
    """
    logits = anchors @ keys.transpose(-1, -2) / tau
    # Not infinity: a set without any key would give no number, and nor would its gradient.
    logits = logits.masked_fill(~is_key[:, None], torch.finfo(logits.dtype).min)
    return logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)
