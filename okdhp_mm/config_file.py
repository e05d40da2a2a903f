"""Reading config files: they are programs, and may fail like any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .errors import UserError, told


def read_config(filename: str | Path) -> Config:
    """Read a config file.

    Raises:
        UserError: If it does not exist, or cannot be read.
    """
    if not os.path.isfile(filename):
        raise UserError(f'The config {filename} does not exist.')
    with told(f'The config {filename} cannot be read'):
        try:
            return Config.fromfile(filename)
        except ImportError as error:
            # mmengine goes on with all of sys.path, at length.
            missing = str(error).partition(', the current sys.path')[0]
            raise UserError(
                f'The config {filename} cannot be read ({missing}); the folder of a module of your '
                'own must be on PYTHONPATH.'
            ) from error


def section(cfg: Config, key: str, asking: str, example: str = '...') -> Any:
    """What the config has at a path, and somebody cannot do without.

    Args:
        cfg: Any config.
        key: The path, e.g. 'default_hooks.visualization'.
        asking: Who needs it, for the sentence.
        example: What could be there.

    Raises:
        UserError: If there is nothing.
    """
    found = cfg
    for name in key.split('.'):
        found = (found or {}).get(name)
    if not found:
        raise UserError(f'{asking} needs {key}, which the config has not; add {key}={example}.')
    return found


def imports_of(cfg: Config) -> list[str]:
    """The modules that a config wants imported by ``custom_imports``, one or a list."""
    imports = (cfg.get('custom_imports') or {}).get('imports', [])
    return [imports] if isinstance(imports, str) else list(imports)
