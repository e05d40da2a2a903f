"""Check the files that a config names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from ..errors import UserError
from ..evaluation.evaluator_config import walk_metrics
from ..io.data_files import OF_PICKLES, PICKLES
from .check import check_datasets


def check_data(cfg: Config, *splits: str) -> None:
    """Check files, annotations and pictures that the config names for these splits.

    Args:
        cfg: Any config.
        splits: 'train', 'val' or 'test'.

    Raises:
        UserError: If one does not exist, or cannot be used.
    """
    for path, *keys in _named(cfg, splits):
        if Path(path).suffix.lstrip('.') in PICKLES:
            raise UserError(
                f'{path} is a pickle, which can run code. Write it as JSON and name '
                f'it by --cfg-options {keys[0]}=...'
            )
        # Paths with a scheme (s3://...) are for the file backend to find.
        if '://' not in path and not os.path.exists(path):
            raise UserError(
                f'{path} does not exist; say where it is by --cfg-options {" or ".join(keys)}=...'
            )
    check_datasets(cfg, *splits)


@contextmanager
def as_data_error(cfg: Config, *splits: str) -> Iterator[None]:
    """Name the files of these splits in errors of mmpose, which do not name them.

    Args:
        cfg: Any config.
        splits: 'train', 'val' or 'test'.

    Raises:
        UserError: If they have no usable person, or a file cannot be read.
    """
    try:
        yield
    except ValueError as error:
        # numpy raises this where mmpose joins the persons of a dataset and finds none.
        if str(error) == 'need at least one array to concatenate':
            fault = 'has no person with a box and labeled keypoints'
        elif isinstance(error, (JSONDecodeError, UnicodeDecodeError)):
            fault = f'is not complete JSON ({error})'
        elif OF_PICKLES in str(error):
            fault = 'has an array of pickled objects, which can run code'
        else:
            raise
        files = sorted({path for path, *_ in _named(cfg, splits) if not os.path.isdir(path)})
        raise UserError(f'{" or ".join(files)} {fault}.') from error


def _named(cfg: Config, splits: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the files and folders that are named, each with the options that name it."""
    for split in splits:
        loader, evaluator = f'{split}_dataloader', f'{split}_evaluator'
        if cfg.get(loader):
            yield from _of_dataset(cfg[loader].dataset, f'{loader}.dataset')
        if cfg.get(evaluator):
            for key, metric in walk_metrics(cfg[evaluator], evaluator):
                if metric.get('ann_file'):
                    yield metric['ann_file'], f'{key}.ann_file'


def _of_dataset(dataset: ConfigDict, key: str) -> Iterator[tuple[str, ...]]:
    for nested in (*dataset.get('datasets', ()), *filter(None, [dataset.get('dataset')])):
        yield from _of_dataset(nested, key)
    root = dataset.get('data_root') or ''
    folders = {f'data_prefix.{k}': path for k, path in (dataset.get('data_prefix') or {}).items()}
    for name, path in (('ann_file', dataset.get('ann_file')), *folders.items()):
        if path:
            yield os.path.join(root, path), f'{key}.{name}', f'{key}.data_root'
    for name in ('bbox_file', 'headbox_file'):
        if dataset.get(name):
            yield dataset[name], f'{key}.{name}'
    if lost := _lost_metainfo(dataset.get('metainfo') or {}):
        yield lost, f'{key}.metainfo.from_file'


def _lost_metainfo(metainfo: ConfigDict) -> str | None:
    """Return the file of a metainfo if mmpose does not find it, not even among its own."""
    try:
        if 'from_file' in metainfo:
            parse_pose_metainfo(metainfo)
    except FileNotFoundError:
        return metainfo['from_file']
    return None
