"""A picture that cannot be read is skipped in training, and stops an evaluation."""

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

import okdhp_mm  # noqa: F401  (registers)
from okdhp_mm.data.pictures import skip_unreadable
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError

WRAPPERS = {
    'none': lambda inner: inner,
    'RepeatDataset': lambda inner: dict(type='RepeatDataset', times=2, dataset=inner),
    'CombinedDataset': lambda inner: dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[dict(inner, pipeline=[])],
        pipeline=inner['pipeline'],
    ),
}


@pytest.fixture
def make(tmp_path):
    """A dataset of three pictures and a text file."""
    init_default_scope('mmpose')
    file = write_coco(tmp_path, 'train', 4, seed=0)
    (tmp_path / 'train2017' / '000000000002.jpg').write_text('text')
    assert len(list((tmp_path / 'train2017').iterdir())) == 4, 'one of the pictures was replaced'

    def built(wrapper='none', **changes):
        inner = dict(
            type='CocoDataset', ann_file=str(file), pipeline=[dict(type='LoadImage')],
            data_prefix=dict(img=f'{tmp_path}/train2017/'), **changes,
        )  # fmt: skip
        return DATASETS.build(ConfigDict(WRAPPERS[wrapper](inner)))

    return built


def ids(samples):
    return [int(sample['img_id']) for sample in samples]


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_another_sample_takes_its_place_and_seeds_decide_which(make, wrapper, workers):
    dataset = make(wrapper)
    skip_unreadable(dataset)

    def epoch():
        loader = DataLoader(
            dataset,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=np.random.seed,
            collate_fn=lambda sample: dict(img_id=sample['img_id']),
        )
        np.random.seed(0)
        return ids(loader)

    first = epoch()
    assert len(first) == len(dataset)
    assert set(first) == {1, 3, 4}
    assert [i for i in first if i != 2] == first
    assert epoch() == first


def test_an_evaluation_stops_with_a_sentence(make):
    dataset = make(test_mode=True)
    skip_unreadable(dataset, limit=0)
    with pytest.raises(UserError, match=r'^\S+000000000002.jpg cannot be read'):
        ids(dataset)


def test_too_many_stop_the_training_with_a_sentence(make, tmp_path):
    dataset = make()
    skip_unreadable(dataset, limit=1)
    (tmp_path / 'train2017' / '000000000003.jpg').write_text('')
    with pytest.raises(UserError, match='2 pictures cannot be used: .*2.jpg, .*3.jpg cannot be'):
        [dataset[index] for index in range(len(dataset))]
