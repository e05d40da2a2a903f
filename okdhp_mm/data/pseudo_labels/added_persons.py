"""Add persons with pseudo-labels to a training dataset, and remove them again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from ...errors import UserError
from ..check import own_metainfo

ADDED = 'added_persons.json'
"""Name of the file of the persons, which tells their dataset from the others."""
COMBINED = 'CombinedDataset'


def with_persons(dataset: ConfigDict, file: Path, share: float) -> ConfigDict:
    """Return a dataset with the persons of a COCO JSON added.

    An epoch has every person of the dataset once and some of the added ones, drawn at random.

    Args:
        dataset: Config of the dataset.
        file: The file. Its keypoints are those of the dataset.
        share: Share of its persons that an epoch takes.

    Raises:
        UserError: As :func:`check_takes_persons`.
    """
    check_takes_persons(dataset)
    metainfo = copy.deepcopy(own_metainfo(dataset))
    extra: dict[str, Any] = dict(
        type='CocoDataset',
        data_root='',
        ann_file=str(file),
        data_prefix=dict(img=''),
        metainfo=metainfo,
        pipeline=[],
    )
    if dataset.type == COMBINED:
        combined = dataset
    else:
        own = dataset | dict(pipeline=[])
        combined = ConfigDict(
            type=COMBINED, metainfo=metainfo, datasets=[own], pipeline=dataset.get('pipeline')
        )
    factors = [*([1.0] * len(combined.datasets)), share]
    datasets = [*combined.datasets, extra]
    return ConfigDict(combined | dict(datasets=datasets, sample_ratio_factor=factors))


def check_takes_persons(dataset: ConfigDict) -> None:
    """Check that persons can be added to a dataset.

    Raises:
        UserError: If it is a wrapper that they cannot be added to.
    """
    inner = dataset.get('datasets') or dataset.get('dataset')
    combined = dataset.type == COMBINED
    if bool(inner) != combined or dataset.get('sample_ratio_factor'):
        raise UserError(
            f'train_dataloader.dataset.type={dataset.type!r} cannot take the persons of other '
            f'pictures. Use a dataset of one annotation file, or a {COMBINED} without '
            'sample_ratio_factor.'
        )


def has_added_persons(dataset: ConfigDict) -> bool:
    """Return whether :func:`with_persons` added persons to a dataset."""
    inner = dataset.get('datasets') or [{}]
    return Path(inner[-1].get('ann_file') or '').name == ADDED


def without_added_persons(dataset: ConfigDict) -> ConfigDict:
    """Return a dataset as it was before :func:`with_persons`, if that added persons."""
    if not has_added_persons(dataset):
        return dataset
    own = dataset.datasets[:-1]
    if len(own) == 1 and not own[0].get('pipeline') and own_metainfo(own[0]) == dataset.metainfo:
        return ConfigDict(own[0] | dict(pipeline=dataset.pipeline))
    left = {key: value for key, value in dataset.items() if key != 'sample_ratio_factor'}
    return ConfigDict(left | dict(datasets=own))
