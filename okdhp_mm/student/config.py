"""Config of an exported student: the stock one, without anything of this package."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    KEYPOINT_CODECS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)

from ..data.check import nested_datasets, own_metainfo
from ..data.pseudo_labels.transform import without_pseudo_labels
from ..data.unlabeled import train_on_labeled
from ..engine.optim import layer_decay
from ..errors import UserError
from ..evaluation.evaluator_config import map_metrics
from ..io.config import drop_pretrained, imports_of
from ..models import OKDHPTopdownPoseEstimator
from ..models.branch_configs import (
    ESTIMATOR,
    STOCK_ESTIMATOR,
    config_branches,
    deployed_output,
)
from ..structures import ENSEMBLE

PACKAGE = 'okdhp_mm'
OWN_MODEL_KEYS = (
    inspect.signature(OKDHPTopdownPoseEstimator).parameters.keys()
    - inspect.signature(TopdownPoseEstimator).parameters.keys()
)
OWN_TEST_KEYS = ('branch', 'report', 'ema')
LOCAL = 'LocalVisBackend'
OWN_BACKBONE = 'cfg.model.backbone.type'
"""The only entry of a student's config that may have a type of this package."""
RUNNER_KEYS = tuple(inspect.signature(Runner).parameters)
REGISTRIES = (
    *(MODELS, KEYPOINT_CODECS, TASK_UTILS),
    *(DATASETS, DATA_SAMPLERS, TRANSFORMS),
    *(HOOKS, LOOPS, METRICS, VISUALIZERS, VISBACKENDS),
    *(OPTIMIZERS, OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS),
)
"""Registries that may have the type of a config entry."""


def check_exportable(cfg: Config) -> None:
    """Check that a config trains a network that a student can be cut out of.

    Raises:
        UserError: If it trains another one.
    """
    kind = (cfg.get('model') or {}).get('type')
    if kind not in (ESTIMATOR, STOCK_ESTIMATOR):
        raise UserError(
            f'The config trains a {kind!r}, but a student is exported of an {ESTIMATOR!r} or a '
            f'{STOCK_ESTIMATOR!r}.'
        )


def branch_to_export(cfg: Config, branch: int | None) -> int | None:
    """Return the branch to export, checked against the config; None for a student trained alone.

    Raises:
        UserError: If the config trains another network, or the branch does not exist.
    """
    check_exportable(cfg)
    if cfg.model.type == STOCK_ESTIMATOR:
        if branch is not None:
            raise UserError(
                f'Branch {branch} does not exist: the config trains a student without branches. '
                'Remove --branch.'
            )
        return None
    chosen = deployed_output(cfg.model) if branch is None else branch
    if chosen == ENSEMBLE:
        raise UserError(
            "test_cfg.branch='ensemble' needs all branches, but a student is one. Choose it by "
            '--branch N.'
        )
    count = len(config_branches(cfg.model))
    if not isinstance(chosen, int) or chosen not in range(count):
        raise UserError(f'Branch {chosen} does not exist; valid are 0 to {count - 1}.')
    return chosen


def stock_model(model: ConfigDict, to_train: bool = False) -> ConfigDict:
    """Return the stock model that a training config was made from.

    Args:
        model: Model of the training config.
        to_train: Keep the pretrained weights that the training starts from.
    """
    stock = copy.deepcopy(model)
    for key in OWN_MODEL_KEYS:
        stock.pop(key, None)
    stock['type'] = STOCK_ESTIMATOR
    for key in OWN_TEST_KEYS:
        (stock.get('test_cfg') or {}).pop(key, None)
    if not to_train:
        # The student has its own weights and must not download others.
        drop_pretrained(stock)
    return stock


def student_config(cfg: Config, branch: int | None, to_train: bool = False) -> Config:
    """Return the stock config of one branch: the training config without this package.

    A backbone of this package, and the import that it needs, stay.

    Args:
        cfg: Training config.
        branch: Index of the branch; None for a student trained alone.
        to_train: Keep the pretrained weights and all backends of the log, to train the student.

    Raises:
        UserError: If it refers to something of this package in a place unknown to the export.
    """
    student = Config(cfg.to_dict())
    own = {} if branch is None else config_branches(cfg.model)[branch].to_dict()
    model = stock_model(ConfigDict(cfg.model.to_dict() | own), to_train)
    student.model = ConfigDict({key: value for key, value in model.items() if value is not None})
    for rule in RULES:
        if not (to_train and rule is _keep_local_backend):
            rule(student)
    _keep_imports(student, cfg.model)
    return student


def _predict_like_validation(student: Config) -> None:
    """Add test data, because stock mmpose takes the pipeline of the test data to predict."""
    if not student.get('test_dataloader') and student.get('val_dataloader'):
        student.test_dataloader = student.val_dataloader
        student.test_evaluator, student.test_cfg = student.get('val_evaluator'), dict()


def _drop_pseudo_labels(student: Config) -> None:
    """Remove the steps that move pseudo-labels next to the labels."""
    if student.get('train_dataloader'):
        student.train_dataloader = without_pseudo_labels(student.train_dataloader)


def _drop_own_hooks(student: Config) -> None:
    hooks = student.get('default_hooks', {})
    for name in [name for name, hook in hooks.items() if hook and _is_ours(hook['type'], HOOKS)]:
        hooks.pop(name)
    if student.get('custom_hooks'):
        student.custom_hooks = [
            hook for hook in student.custom_hooks if not _is_ours(hook['type'], HOOKS)
        ]


def _use_stock_metrics(student: Config) -> None:
    for key in ('val_evaluator', 'test_evaluator'):
        if student.get(key):
            student[key] = map_metrics(student[key], lambda metric, _: _stock_metric(metric))


def _keep_local_backend(student: Config) -> None:
    """Drop other backends, whose packages may not be installed where the student runs."""
    if student.get('visualizer', {}).get('vis_backends'):
        student.visualizer.vis_backends = [
            backend for backend in student.visualizer.vis_backends if backend['type'] == LOCAL
        ]


def _use_stock_layer_decay(student: Config) -> None:
    if student.get('optim_wrapper', {}).get('constructor') == layer_decay.BRANCHED:
        student.optim_wrapper.constructor = layer_decay.STOCK


def _forget_the_run(student: Config) -> None:
    for key in ('work_dir', 'load_from', 'resume', 'launcher', 'method_name'):
        student.pop(key, None)


def _drop_own_presets(student: Config) -> None:
    """Drop entries that only other entries of the config refer to, e.g. a preset."""
    for key in [key for key in student if key not in RUNNER_KEYS]:
        if PACKAGE in _packages(student[key]):
            student.pop(key)


def _check_stock(student: Config) -> None:
    for path, kind in _types(student.to_dict()):
        if _is_ours(kind) and path != OWN_BACKBONE:
            raise UserError(f'{path}={kind!r} is of this package: a stock student cannot have it.')


RULES = (
    train_on_labeled,
    _predict_like_validation,
    _drop_pseudo_labels,
    _drop_own_hooks,
    _use_stock_metrics,
    _keep_local_backend,
    _use_stock_layer_decay,
    _forget_the_run,
    _drop_own_presets,
    _check_stock,
)
"""Changes that turn a training config into a student's, in their order."""


def _keep_imports(student: Config, trained: ConfigDict) -> None:
    """Drop the imports of modules that only the training used, ours or the user's own."""
    names = imports_of(student)
    imports = student.pop('custom_imports', {})
    training = _packages({key: trained.get(key) for key in OWN_MODEL_KEYS}) | {PACKAGE}
    training -= _packages(student.to_dict())
    names = [name for name in names if name.split('.')[0] not in training]
    if needs_package(student.model) and PACKAGE not in names:
        names.append(PACKAGE)
    if names:
        student.custom_imports = imports | dict(imports=names)


def needs_package(model: ConfigDict) -> bool:
    """Return whether a student's model can be built only with this package."""
    return _is_ours(model.backbone.type, MODELS)


def dataset_meta(config: Config, meta: dict) -> dict:
    """Return the dataset's metainfo in plain types, from the checkpoint or the config.

    Raises:
        UserError: If neither names the keypoints.
    """
    given = meta.get('dataset_meta')
    if not given:
        # Wrappers such as RepeatDataset have none of their own.
        parts = nested_datasets(config.train_dataloader.dataset)
        found = next(filter(None, map(own_metainfo, parts)), None)
        if found is None:
            raise UserError(
                'train_dataloader.dataset does not name its keypoints. Set its `metainfo`.'
            )
        given = parse_pose_metainfo(found)
    return _plain(given)


def prepare_for_inferencer(cfg: Config) -> None:
    """Add the entries of a config that mmpose's inferencer reads, if they are missing, in place.

    Args:
        cfg: Config of a top-down model, with ``test_dataloader``.
    """
    cfg.setdefault('data_mode', 'topdown')
    cfg.setdefault('dataset_type', cfg.test_dataloader.dataset.type)
    cfg.setdefault('visualizer', dict(type='PoseLocalVisualizer', name='visualizer'))


def _plain(value: Any) -> Any:
    """Return a value without numpy, so that ``torch.load(weights_only=True)`` reads it."""
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_plain(entry) for entry in value)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _stock_metric(metric: dict) -> dict:
    return metric['metric'] if _is_ours(metric['type'], METRICS) else metric


def _is_ours(kind: Any, *registries: Registry) -> bool:
    return PACKAGE in _packages(dict(type=kind), *registries)


def _packages(value: Any, *registries: Registry) -> set[str]:
    """Return the packages of the types in a part of a config; names are of any registry."""
    found = (
        registry.get(kind) if isinstance(kind, str) else kind
        for _, kind in _types(value)
        for registry in registries or REGISTRIES
    )
    return {entry.__module__.split('.')[0] for entry in found if entry is not None}


def _types(value: Any, path: str = 'cfg'):
    """Yield every 'type' entry of a config with its path, without those of keypoints."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == 'type':
                yield f'{path}.type', entry
            elif key != 'keypoint_info':  # a keypoint's type is 'upper', 'lower' or empty
                yield from _types(entry, f'{path}.{key}')
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _types(entry, f'{path}[{index}]')
