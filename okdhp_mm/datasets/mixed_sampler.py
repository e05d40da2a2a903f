"""Sampler of batches with a fixed number of labeled and of unlabeled samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from mmengine.dataset import ConcatDataset, DefaultSampler
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from ..errors import UserError


@DATA_SAMPLERS.register_module()
class MixedSampler(Sampler):
    """Sampler that puts labeled samples, then unlabeled ones, into every batch.

    An epoch is one pass over the labeled samples, in the order of mmengine's ``DefaultSampler``.
    So the labeled batches and the length of a training are those of a training without unlabeled
    samples. The unlabeled samples go on where the epoch before stopped: each is seen equally often,
    however many there are. The order depends only on the seed and the epoch, so a resumed training
    sees the same batches.

    Args:
        dataset: Labeled dataset, followed by unlabeled ones.
        batch_size: Labeled and unlabeled samples of a batch of one process. The ``batch_size`` of
            the data loader is their sum.
        shuffle: Whether to shuffle the samples.
        seed: Seed of the order; None for a random one, equal in all processes.

    Raises:
        UserError: If a dataset is missing or empty, or a batch would have no labeled or no
            unlabeled sample.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_size: tuple[int, int],
        shuffle: bool = True,
        seed: int | None = None,
    ):
        self.num_labeled, self.num_unlabeled = batch_size
        if min(batch_size) < 1:
            raise UserError(
                f'MixedSampler: batch_size={tuple(batch_size)} must be at least 1 labeled and 1 '
                'unlabeled sample. Lower the share of the other or raise the batch size.'
            )
        if not isinstance(dataset, ConcatDataset) or len(dataset.datasets) < 2:
            raise UserError(
                'MixedSampler requires a ConcatDataset of the labeled dataset and an '
                "UnlabeledDataset. Set train_dataloader.dataset=dict(type='ConcatDataset', ...)."
            )
        self.start = len(dataset.datasets[0])
        self.count = len(dataset) - self.start
        if not self.start or not self.count:
            raise UserError(
                f'MixedSampler: there are {self.start} labeled and {self.count} unlabeled samples. '
                'Each must be at least 1.'
            )
        self.labeled = DefaultSampler(dataset.datasets[0], shuffle, seed)
        self.shuffle = shuffle
        self.epoch = 0

    @property
    def steps(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self.labeled) // self.num_labeled)

    def __len__(self) -> int:
        return len(self.labeled) + self.steps * self.num_unlabeled

    def __iter__(self) -> Iterator[int]:
        labeled = list(self.labeled)
        unlabeled = self._unlabeled()
        for step in range(self.steps):
            yield from labeled[step * self.num_labeled : (step + 1) * self.num_labeled]
            yield from (self.start + next(unlabeled) for _ in range(self.num_unlabeled))

    def _unlabeled(self) -> Iterator[int]:
        """Yield the unlabeled samples of this process from the current epoch on."""
        rank, world_size = self.labeled.rank, self.labeled.world_size
        first = self.epoch * self.steps * self.num_unlabeled * world_size + rank
        order, current = [0], -1
        for position in count(first, world_size):
            turn, index = divmod(position, self.count)
            if turn != current:
                order, current = self._order(turn), turn
            yield order[index]

    def _order(self, turn: int) -> list[int]:
        """Return the order of the unlabeled samples in one pass over all of them."""
        if not self.shuffle:
            return list(range(self.count))
        generator = torch.Generator().manual_seed(self.labeled.seed + turn)
        return torch.randperm(self.count, generator=generator).tolist()

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch. mmengine calls this before each."""
        self.epoch = epoch
        self.labeled.set_epoch(epoch)
