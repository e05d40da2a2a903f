"""Persons are added to a training dataset, and removed again."""

from pathlib import Path

import pytest
from mmengine.config import ConfigDict

from okdhp_mm.data.pseudo_labels.added_persons import (
    ADDED,
    has_added_persons,
    with_persons,
    without_added_persons,
)
from okdhp_mm.errors import UserError

FILE = Path('work_dirs', 'teacher', ADDED)
PIPELINE = [dict(type='LoadImage'), dict(type='PackPoseInputs')]


def coco(**settings):
    return ConfigDict(type='CocoDataset', ann_file='a.json', **settings)


def combined(*inner, **settings):
    datasets = list(inner) or [coco(pipeline=[]), coco(pipeline=PIPELINE)]
    meta = dict(from_file='mine.py')
    return ConfigDict(
        type='CombinedDataset', metainfo=meta, datasets=datasets, pipeline=PIPELINE, **settings
    )


@pytest.mark.parametrize(
    'dataset',
    [
        coco(pipeline=PIPELINE, indices=3),
        combined(max_refetch=5),
        combined(coco(pipeline=PIPELINE)),
        combined(coco(pipeline=[])),
    ],
)
def test_removing_undoes_adding(dataset):
    added = with_persons(dataset, FILE, 0.25)
    assert has_added_persons(added) and not has_added_persons(dataset)
    assert added.pipeline == PIPELINE
    assert added.datasets[-1].ann_file == str(FILE)
    assert added.sample_ratio_factor == [1.0] * (len(added.datasets) - 1) + [0.25]
    assert without_added_persons(added) == dataset
    assert without_added_persons(dataset) is dataset


@pytest.mark.parametrize(
    'dataset',
    [
        ConfigDict(type='RepeatDataset', times=2, dataset=coco()),
        ConfigDict(type='ConcatDataset', datasets=[coco()]),
        combined(sample_ratio_factor=[1.0, 0.5]),
        ConfigDict(type='CombinedDataset', datasets=[]),
    ],
)
def test_another_wrapper_is_refused(dataset):
    with pytest.raises(UserError, match='cannot take the persons of other pictures'):
        with_persons(dataset, FILE, 0.5)
