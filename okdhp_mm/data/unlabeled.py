"""Unlabeled images in a training config: add, find and remove them."""

from __future__ import annotations

import copy
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from logging import WARNING
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmpose.registry import DATA_SAMPLERS

from ..datasets.mixed_sampler import MixedSampler
from ..datasets.unlabeled import UnlabeledDataset
from ..errors import UserError, join_names
from ..io.data_files import read_json
from .check import class_of, leaf_datasets, nested_datasets, own_metainfo, pictures_of
from .pseudo_labels.transform import without_pseudo_labels

HARD = ('Albumentation', 'PhotometricDistortion', 'YOLOXHSVRandomAug', 'RandomHalfBody')
"""Transforms that the teacher's view leaves out: it should be easy."""


def is_mixed(cfg: Config) -> bool:
    """Return whether a config trains on unlabeled images."""
    loader = cfg.get('train_dataloader')
    return bool(loader) and any(
        is_unlabeled(dataset) for dataset, _ in leaf_datasets(loader.dataset)
    )


def is_unlabeled(dataset: ConfigDict) -> bool:
    """Return whether the config of a dataset is of an ``UnlabeledDataset`` or a subclass."""
    kind = class_of(dataset)
    return kind is not None and issubclass(kind, UnlabeledDataset)


def is_mixed_sampler(sampler: ConfigDict) -> bool:
    """Return whether the config of a sampler is of a ``MixedSampler`` or a subclass."""
    kind = sampler.get('type')
    kind = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, MixedSampler)


def train_on_labeled(cfg: Config) -> None:
    """Remove the unlabeled images from a config, in place, if it has some."""
    if not is_mixed(cfg):
        return
    loader = cfg.train_dataloader
    sampler = loader.sampler
    loader.dataset = loader.dataset.datasets[0]
    if is_mixed_sampler(sampler):
        _rescale_base(cfg, sampler.batch_size[0] / loader.batch_size)
        loader.batch_size = sampler.batch_size[0]
        loader.sampler = dict(type='DefaultSampler', shuffle=sampler.get('shuffle', True))


def mix_unlabeled(cfg: Config, file: Path, folder: Path, ratio: float = 1.0) -> None:
    """Add unlabeled persons to every training batch of a config, in place.

    The teacher's view has the geometry of the labeled pipeline and none of its color changes.

    Args:
        cfg: Training config; its ``batch_size`` is the number of labeled persons.
        file: Persons in COCO's layout.
        folder: Folder of the pictures.
        ratio: Unlabeled persons for each labeled one.
    """
    train_on_labeled(cfg)
    loader = cfg.train_dataloader
    labeled = loader.dataset
    source = with_pipeline(labeled)
    numbers = (loader.batch_size, max(1, round(loader.batch_size * ratio)))
    unlabeled = unlabeled_dataset(source, file, folder)
    unlabeled['pipeline'] = [
        step for step in without_pseudo_labels(source.pipeline) if step.get('type') not in HARD
    ]
    loader.dataset = dict(
        type='ConcatDataset',
        datasets=[labeled, unlabeled],
        ignore_keys=['CLASSES', 'dataset_name'],
    )
    loader.sampler = dict(
        type=MixedSampler.__name__,
        batch_size=numbers,
        shuffle=loader.sampler.get('shuffle', True),
    )
    _rescale_base(cfg, sum(numbers) / loader.batch_size)
    loader.batch_size = sum(numbers)


def unlabeled_dataset(labeled: ConfigDict, file: Path, folder: Path) -> dict:
    """Return the config of a dataset of unlabeled persons, without a pipeline.

    Args:
        labeled: Config of a dataset with the same keypoints.
        file: Persons in COCO's layout.
        folder: Folder of the pictures.
    """
    return dict(
        type=UnlabeledDataset.__name__,
        ann_file=str(file.resolve()),
        data_prefix=dict(img=f'{folder.resolve()}/'),
        metainfo=copy.deepcopy(own_metainfo(labeled)),
        pipeline=[],
    )


def _rescale_base(cfg: Config, factor: float) -> None:
    """Let ``--auto-scale-lr`` count labeled persons only."""
    if scaling := cfg.get('auto_scale_lr'):
        scaling.base_batch_size = round(scaling.base_batch_size * factor)


def with_pipeline(dataset: ConfigDict) -> ConfigDict:
    """Return the outermost dataset with a pipeline.

    Raises:
        UserError: If none has one.
    """
    if found := next((part for part in nested_datasets(dataset) if part.get('pipeline')), None):
        return found
    raise UserError(
        'train_dataloader.dataset has no pipeline for the unlabeled images. Set its `pipeline`.'
    )


def warn_of_overlap(cfg: Config, seen: Sequence[str]) -> None:
    """Warn if unlabeled pictures are among those that a config validates on.

    Args:
        cfg: Training config.
        seen: Paths of the unlabeled pictures.
    """
    if not cfg.get('val_dataloader'):
        return
    if both := copies_of(seen, pictures_in(cfg.val_dataloader.dataset)):
        print_log(
            f'{len(both)} of {len(seen)} unlabeled pictures are also validated on, such as '
            f'{join_names(both)}. The figures of the validation will be too high. Remove them from '
            'the unlabeled pictures.',
            'current',
            WARNING,
        )


def folders_of(dataset: ConfigDict) -> list[str]:
    """Return the folders of pictures that a dataset's config names."""
    return [
        os.path.join(part.get('data_root') or '', (part.get('data_prefix') or {}).get('img') or '')
        for part, _ in leaf_datasets(dataset)
    ]


def pictures_in(dataset: ConfigDict, unlabeled: bool = False) -> list[str]:
    """Return the pictures of the (unlabeled) datasets in a config whose annotations are JSON."""
    found: dict[str, None] = {}
    for part, _ in leaf_datasets(dataset):
        file = os.path.join(part.get('data_root') or '', part.get('ann_file') or '')
        if (unlabeled and not is_unlabeled(part)) or class_of(part) is None:
            continue
        if file.endswith('.json') and '://' not in file:
            found |= dict.fromkeys(pictures_of(part, read_json(file)))
    return list(found)


def copies_of(files: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the files with the same content as one of the others; missing files are skipped."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in filter(os.path.isfile, others):
        sizes[os.path.getsize(path)].append(path)
    # Copies have the same size, so few files must be read.
    alike = [path for path in filter(os.path.isfile, files) if os.path.getsize(path) in sizes]
    found = {os.path.getsize(path) for path in alike}
    digests = {digest(path) for size in found for path in sizes[size]}
    return [path for path in alike if digest(path) in digests]


def digest(path: str) -> str:
    """Return the hash of a file, equal for copies."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
