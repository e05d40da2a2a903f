"""Batches of labeled and unlabeled samples, the same after a resume and in two processes."""

from collections import Counter

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler

from okdhp_mm.datasets.mixed_sampler import MixedSampler
from okdhp_mm.errors import UserError


class Numbers(BaseDataset):
    METAINFO = dict(dataset_name='numbers')

    def __init__(self, size):
        self.size = size
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(value=value) for value in range(self.size)]


def mixed(labeled=10, unlabeled=7):
    return ConcatDataset([Numbers(labeled), Numbers(unlabeled)])


def batches(sampler, size):
    indices = list(sampler)
    assert len(indices) == len(sampler)
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def sampler_of(epoch=0, **changes):
    settings = dict(dataset=mixed(), batch_size=(4, 3), seed=5) | changes
    sampler = MixedSampler(**settings)
    sampler.set_epoch(epoch)
    return sampler


def test_a_batch_has_labeled_samples_then_unlabeled_ones():
    found = batches(sampler_of(), 7)
    assert [len(batch) for batch in found] == [7, 7, 5]
    for batch in found:
        labeled = [index for index in batch if index < 10]
        assert batch[: len(labeled)] == labeled
        assert len(batch) - len(labeled) == 3
    assert sorted(i for batch in found for i in batch if i < 10) == list(range(10))


@pytest.mark.parametrize('epoch', [0, 3])
def test_labeled_batches_are_those_of_a_training_without_unlabeled_samples(epoch):
    alone = DefaultSampler(Numbers(10), seed=5)
    alone.set_epoch(epoch)
    assert [i for i in sampler_of(epoch) if i < 10] == list(alone)


def test_unlabeled_samples_are_seen_equally_often_over_the_epochs():
    sampler, seen = sampler_of(), Counter()
    for epoch in range(7):
        sampler.set_epoch(epoch)
        seen.update(i for i in sampler if i >= 10)
    assert seen.keys() == set(range(10, 17))
    assert set(seen.values()) == {9}
    orders = [[i for i in sampler_of(epoch, batch_size=(10, 7)) if i >= 10] for epoch in range(3)]
    assert len(set(map(tuple, orders))) == 3, 'another order in every pass'


def test_an_epoch_has_the_same_batches_after_a_resume():
    sampler = sampler_of()
    whole = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        whole.append(list(sampler))
    assert list(sampler_of(3)) == whole[3]
    assert len(set(map(tuple, whole))) == 4


def test_two_processes_share_the_batches_of_one(monkeypatch):
    """Their joint batch has the samples of one process with twice the batch size."""
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(batches(sampler_of(2, dataset=mixed(16, 7), batch_size=(4, 3)), 7))
    monkeypatch.undo()
    joint = batches(sampler_of(2, dataset=mixed(16, 7), batch_size=(8, 6)), 14)
    assert len(joint) == len(parts[0]) == len(parts[1]) == 2
    for one, first, second in zip(joint, *parts, strict=True):
        assert Counter(one) == Counter(first) + Counter(second)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(batch_size=(0, 8)), r'batch_size=\(0, 8\) must be at least 1 labeled'),
        (dict(batch_size=(8, 0)), r'batch_size=\(8, 0\)'),
        (dict(dataset=Numbers(4)), 'ConcatDataset'),
        (dict(dataset=mixed(0, 4)), '0 labeled and 4 unlabeled'),
        (dict(dataset=mixed(4, 0)), '4 labeled and 0 unlabeled'),
    ],
)
def test_what_cannot_be_mixed_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        sampler_of(**changes)
