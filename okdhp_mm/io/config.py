"""Read configs and their entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from ..errors import UserError, as_user_error, own_line
from .data_files import DataFileError, safe_handlers
from .shipped_configs import find_config

KEYPOINTS = 'keypoint_info'


def read_config(filename: str | Path) -> Config:
    """Read a config.

    Args:
        filename: Its path, or the name of a config of the package, see :func:`find_config`.

    Raises:
        UserError: If it does not exist, or cannot be read.
    """
    filename = find_config(filename)
    # A config is a program, which can raise anything.
    with as_user_error(f'The config {filename} cannot be read', Exception):
        try:
            with safe_handlers():
                cfg = Config.fromfile(filename)
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
    sort_keypoints(cfg)
    return cfg


def sort_keypoints(cfg: Config | dict | list | tuple) -> None:
    """Sort the keypoints of every metainfo in a config by their numbers, in place.

    mmpose takes their order in the dict for their numbers. mmengine writes configs sorted by text,
    10 before 2. Such a config would swap the wrong keypoints of mirrored images.
    """
    for key, value in cfg.items() if isinstance(cfg, (Config, dict)) else enumerate(cfg):
        if key == KEYPOINTS and isinstance(value, dict) and all(isinstance(k, int) for k in value):
            entries = dict(sorted(value.items()))
            value.clear()
            value.update(entries)
        elif isinstance(value, (dict, list, tuple)):
            sort_keypoints(value)


def config_text(cfg: Config) -> str:
    """Return a config as mmengine writes it, but with its keypoints in the order of their numbers.

    See :func:`sort_keypoints`.
    """
    content = cfg.to_dict()
    sort_keypoints(content)
    return Config(_with_keys(content)).pretty_text


class _Key(int):
    """A number that mmengine, which sorts keys by their text, puts in the order of numbers."""

    def __str__(self):
        return f'{int(self):6}'


def _with_keys(value: Any, key: Any = None) -> Any:
    """Return a copy of a config's value that mmengine writes in the order of its keypoints."""
    if isinstance(value, dict):
        numbered = key == KEYPOINTS
        return {
            _Key(name) if numbered and isinstance(name, int) else name: _with_keys(entry, name)
            for name, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_with_keys(v) for v in value)
    return value


def require_key(cfg: Config, key: str, asking: str, example: str = '...') -> Any:
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
