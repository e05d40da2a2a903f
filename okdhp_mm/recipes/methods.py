"""Distillation methods by name: one file each in ``configs/_base_/methods``.

Such a file defines ``method``, what the method sets in the ``model`` of any training config. A file
of the user may also have ``custom_imports``, which register its parts.
"""

from __future__ import annotations

import copy
from itertools import chain
from pathlib import Path

from mmengine.config import Config

from ..data.unlabeled import train_on_labeled
from ..errors import UserError
from ..io.config import imports_of, read_config
from ..io.shipped_configs import config_folder
from ..models.branch_configs import ESTIMATOR, METHOD_KEYS


def method_files() -> dict[str, Path]:
    """Return the file of every method by name, sorted."""
    folder = config_folder() / '_base_' / 'methods'
    return {file.stem: file for file in sorted(folder.glob('*.py'))}


def method_file(name: str) -> Path:
    """Return the file of a method.

    Args:
        name: Its name, or a path that ends in '.py' to a file of the user's own.

    Raises:
        UserError: If the method does not exist.
    """
    if name.endswith('.py') and Path(name).is_file():
        return Path(name)
    files = method_files()
    if name not in files:
        others = f'Use one of: {", ".join(files)}.' if files else 'The package has no methods.'
        raise UserError(
            f'The method {name!r} does not exist. {others} `train --method alone` trains the '
            'student without a method.'
        )
    return files[name]


def apply_method(model: dict, name: str) -> None:
    """Apply a method to the model of a training config, in place.

    Args:
        model: Config of a multi-branch model.
        name: Name or file of the method.

    Raises:
        UserError: If the method does not exist, its file cannot be read or defines none, or the
            model has no branches.
    """
    if model.get('type') != ESTIMATOR:
        raise UserError(
            f'The method {name} cannot train model.type={model.get("type")!r}, which has no '
            'branches; `python -m okdhp_mm convert` makes a training config of a stock one.'
        )
    method = read_config(method_file(name)).get('method')
    if method is None:
        raise UserError(f'{name} defines no method = dict(...).')
    set_method(model, method)


def set_method(model: dict, method: dict) -> None:
    """Replace the method of a training config's model, in place.

    Args:
        model: Config of a multi-branch model.
        method: The keys that the method sets. Those of another method are removed.
    """
    for key in METHOD_KEYS:
        model.pop(key, None)
    test_cfg = dict(model.get('test_cfg') or {})
    test_cfg.pop('ema', None)
    for key, value in method.items():
        model[key] = copy.deepcopy(value)
    model['test_cfg'] = test_cfg | dict(method.get('test_cfg', {}))


def apply_method_to_config(cfg: Config, name: str) -> None:
    """Apply a method to a training config, in place: model, imports and name of the method.

    Args:
        cfg: Config of a training.
        name: Name or file of the method.

    Raises:
        UserError: As :func:`apply_method`.
    """
    apply_method(cfg.get('model') or {}, name)
    cfg.method_name = Path(name).stem
    if cfg.model.get('unlabeled') is None:
        train_on_labeled(cfg)
    cfg.custom_imports = dict(imports=all_imports(cfg, name), allow_failed_imports=False)


def all_imports(cfg: Config, method: str | None = None) -> list[str]:
    """Return the imports of a config and a method's file, and this package."""
    configs = [cfg, *([read_config(method_file(method))] if method else [])]
    return list(dict.fromkeys(['okdhp_mm', *chain(*map(imports_of, configs))]))
