"""Read configs, and check the files that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from .data.check import check_datasets
from .errors import UserError, as_user_error, own_line
from .evaluation.evaluator_config import walk_metrics
from .io.data_files import OF_PICKLES, PICKLES, DataFileError, safe_handlers


def read_config(filename: str | Path) -> Config:
    """Read a config file.

    Raises:
        UserError: If it does not exist, or cannot be read.
    """
    if not os.path.isfile(filename):
        raise UserError(f'The config {filename} does not exist.')
    # A config is a program, which can raise anything.
    with as_user_error(f'The config {filename} cannot be read', Exception):
        try:
            with safe_handlers():
                return Config.fromfile(filename)
        except DataFileError as error:
            raise UserError(f'The config {filename} cannot be read. {error}') from error
        except ImportError as error:
            if own_line(error):
                raise
            # mmengine goes on with all of sys.path, at length.
            missing = str(error).partition(', the current sys.path')[0]
            raise UserError(
                f'The config {filename} cannot be read ({missing}); the folder of a module of your '
                'own must be on PYTHONPATH, and a package must be installed (pip install NAME).'
            ) from error


def section(cfg: Config, key: str, asking: str, example: str = '...') -> Any:
    """Return a required config entry.

    Args:
        cfg: Any config.
        key: The path, e.g. 'default_hooks.visualization'.
        asking: What requires it, to name in the error.
        example: A possible value.

    Raises:
        UserError: If it is missing.
    """
    found = cfg
    for name in key.split('.'):
        found = (found or {}).get(name)
    if not found:
        raise UserError(
            f'{asking} requires {key}, which is missing from the config. Add {key}={example}.'
        )
    return found


def imports_of(cfg: Config) -> list[str]:
    """Return the modules that a config imports by ``custom_imports``."""
    imports = (cfg.get('custom_imports') or {}).get('imports', [])
    return [imports] if isinstance(imports, str) else list(imports)


def drop_pretrained(cfg: ConfigDict | list | tuple) -> None:
    """Take every 'Pretrained' initialization out of a model's config, in place."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            drop_pretrained(value)
    if isinstance(cfg, dict) and isinstance(cfg.get('init_cfg'), (dict, list, tuple)):
        entries = init_entries(cfg['init_cfg'])
        kept = [entry for entry in entries if entry.get('type') != 'Pretrained']
        if len(kept) < len(entries):
            # Without an init_cfg of its own, the module falls back to its class's default.
            cfg.pop('init_cfg')
            if kept:
                cfg['init_cfg'] = kept


def pretrained_sources(cfg: ConfigDict | list | tuple) -> Iterator[str]:
    """Yield the checkpoint of every 'Pretrained' initialization in a model's config."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            yield from pretrained_sources(value)
    if isinstance(cfg, dict) and cfg.get('type') == 'Pretrained':
        yield cfg['checkpoint']


def init_entries(init_cfg: ConfigDict | list | tuple | None) -> list[ConfigDict]:
    """Return the entries of an ``init_cfg``, which may be none, one or several."""
    return [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or ())


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
def data_told(cfg: Config, *splits: str) -> Iterator[None]:
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
