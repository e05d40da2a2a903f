"""Cut one branch out of the multi-branch model: a stock student that runs without this package.

Three laws hold for every export, and are checked each time: the student's config is the host's
own; its state dict is the disjoint union of trunk and branch, by names that need no renumbering;
what leaves runs in stock mmpose and equals its branch bit for bit. Only a student whose backbone is
of this package (``StackedHourglass``) needs it to run; its config imports it then.
"""

from __future__ import annotations

import copy
import inspect
import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmpose
import numpy as np
import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry, init_default_scope
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
from torch import Tensor, nn

from .checkpoint import load_checkpoint
from .config_file import drop_pretrained, imports_of, section
from .engine import layer_decay
from .errors import UserError
from .evaluation.evaluator_config import map_metrics
from .io.atomic import replacing_together, write_bytes, write_text
from .models import OKDHPTopdownPoseEstimator
from .models.fan_out import check_branched
from .models.heads.adapters import find_adapter
from .models.student import config_branches, student_name
from .structures import ENSEMBLE, branch_name

CONFIG, CHECKPOINT = 'student.py', 'student.pth'
GRAPH, SMALL_GRAPH = 'student.onnx', 'student_int8.onnx'
GRAPHS = (GRAPH, SMALL_GRAPH)
ESTIMATOR, STOCK_ESTIMATOR = OKDHPTopdownPoseEstimator.__name__, TopdownPoseEstimator.__name__
OWN_MODEL_KEYS = (
    inspect.signature(OKDHPTopdownPoseEstimator).parameters.keys()
    - inspect.signature(TopdownPoseEstimator).parameters.keys()
)
OWN_TEST_KEYS = ('branch', 'report', 'ema')
LOCAL = 'LocalVisBackend'
OWN_BACKBONE = 'cfg.model.backbone.type'
"""The only type of a student that may be of this package."""
RUNNER_KEYS = tuple(inspect.signature(Runner).parameters)
REGISTRIES = (
    *(MODELS, KEYPOINT_CODECS, TASK_UTILS),
    *(DATASETS, DATA_SAMPLERS, TRANSFORMS),
    *(HOOKS, LOOPS, METRICS, VISUALIZERS, VISBACKENDS),
    *(OPTIMIZERS, OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS),
)
"""Where a type in a config may be found."""


@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Attributes:
        parameters: Number of parameters.
        flops: Multiply-adds of one image at the codec's input size.
    """

    parameters: int
    flops: int

    def __str__(self):
        return f'{self.parameters / 1e6:.3f} M parameters, {self.flops / 1e9:.3f} GFLOPs'


@dataclass(frozen=True)
class Export:
    """What was written, and what it costs beside the stock network.

    Attributes:
        config: Path of ``student.py``.
        checkpoint: Path of ``student.pth``.
        branch: Index of the branch.
        student: Cost of the student.
        stock: Cost of the network of the stock config that the training started from.
        needs_package: Whether the student runs only where this package is installed.
    """

    config: Path
    checkpoint: Path
    branch: int
    student: Complexity
    stock: Complexity
    needs_package: bool = False


def export_student(
    cfg: Config,
    checkpoint: str,
    out_dir: str | Path,
    branch: int | None = None,
    force: bool = False,
) -> Export:
    """Write one branch as a stock config and a checkpoint.

    Args:
        cfg: Training config.
        checkpoint: Any checkpoint of it: of any epoch, of an interrupted run, of an EMA run (whose
            averaged weights are exported, as they are what was evaluated).
        out_dir: Folder for ``student.py`` and ``student.pth``.
        branch: Index of the branch; by default the deployed one, ``model.test_cfg.branch``.
        force: Whether to replace a student that is already there. Its graphs are removed.

    Raises:
        UserError: If the config is not an OKDHP one, the branch does not exist, the checkpoint
            does not fit, is unsafe or holds no numbers, the config names no data to test or
            validate on, or a student is already there.
    """
    files = Path(out_dir) / CONFIG, Path(out_dir) / CHECKPOINT
    if not force:
        check_absent(out_dir)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    branch = branch_to_export(cfg, branch)
    loaded = load_checkpoint(checkpoint)
    trained = build_trained(cfg, loaded['state_dict'], checkpoint)

    config = student_config(cfg, branch)
    section(config, 'test_dataloader', 'A student that predicts')
    state = student_state(trained.state_dict(), branch)
    check_finite(state, checkpoint)
    student = MODELS.build(config.model)
    expected = student.state_dict().keys()
    if state.keys() != expected:
        raise AssertionError(f'law 2 is broken at {sorted(state.keys() ^ expected)[:3]}')
    student.load_state_dict(state, strict=True)
    check_equal(trained, student, branch)

    config_file, checkpoint_file = files
    meta = dict(
        cfg=config.pretty_text,
        dataset_meta=dataset_meta(config, loaded.get('meta', {})),
        mmpose_version=mmpose.__version__,
    )
    saved = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), saved)
    with replacing_together(out_dir, obsolete=GRAPHS) as staging:
        write_bytes(staging / CHECKPOINT, saved.getvalue())
        write_text(staging / CONFIG, config.pretty_text)
    return Export(
        config=config_file,
        checkpoint=checkpoint_file,
        branch=branch,
        student=complexity(student),
        stock=complexity(MODELS.build(stock_model(cfg.model))),
        needs_package=needs_package(config.model),
    )


def check_absent(folder: str | Path) -> None:
    """Check that a folder does not hold a student.

    Raises:
        UserError: If it does.
    """
    files = (Path(folder) / name for name in (CONFIG, CHECKPOINT))
    if present := [str(file) for file in files if file.exists()]:
        raise UserError(f'{" and ".join(present)} exist already; --force overwrites them.')


def branch_to_export(cfg: Config, branch: int | None) -> int:
    """The branch that is meant, checked against the config.

    Raises:
        UserError: If the config is not an OKDHP one, or there is no such branch.
    """
    if cfg.get('model', {}).get('type') != ESTIMATOR:
        raise UserError(
            f'The config trains a {cfg.get("model", {}).get("type")!r}, not an {ESTIMATOR!r}: '
            'there is no branch to cut out.'
        )
    if branch is None:
        branch = (cfg.model.get('test_cfg') or {}).get('branch', 0)
    if branch == ENSEMBLE:
        raise UserError(
            "test_cfg.branch='ensemble' needs all branches, a student is one: choose it by "
            '--branch N.'
        )
    count = len(config_branches(cfg.model))
    if branch not in range(count):
        raise UserError(f'Branch {branch} does not exist; valid are 0 to {count - 1}.')
    return branch


def build_trained(cfg: Config, state_dict: dict[str, Tensor], source: str) -> nn.Module:
    """Return the deployed multi-branch model, or its EMA copy, with a checkpoint's weights.

    Raises:
        UserError: If the checkpoint is of another model.
    """
    check_branched(state_dict, source)
    model = copy.deepcopy(cfg.model)
    drop_pretrained(model)
    trained = MODELS.build(model)
    trained.load_state_dict(state_dict, strict=True)
    return trained.deployed


def stock_model(model: ConfigDict) -> ConfigDict:
    """The stock model that a training config was made from."""
    stock = copy.deepcopy(model)
    for key in OWN_MODEL_KEYS:
        stock.pop(key, None)
    stock['type'] = STOCK_ESTIMATOR
    for key in OWN_TEST_KEYS:
        (stock.get('test_cfg') or {}).pop(key, None)
    # The student brings its weights; it must not download others.
    drop_pretrained(stock)
    return stock


def student_config(cfg: Config, branch: int) -> Config:
    """The stock config of one branch: the training config without anything of this package.

    A backbone of this package, and the import that it needs, stay.

    Raises:
        UserError: If it refers to something of this package in a place unknown to the export.
    """
    student = Config(cfg.to_dict())
    if not student.get('test_dataloader') and student.get('val_dataloader'):
        # Of which stock mmpose takes the pipeline wherever it predicts.
        student.test_dataloader = student.val_dataloader
        student.test_evaluator, student.test_cfg = student.get('val_evaluator'), dict()
    own = config_branches(cfg.model)[branch]
    student.model = stock_model(ConfigDict(cfg.model.to_dict() | own.to_dict()))
    for key in [key for key, value in student.model.items() if value is None]:
        student.model.pop(key)
    hooks = student.get('default_hooks', {})
    for name in [name for name, hook in hooks.items() if hook and _is_ours(hook['type'], HOOKS)]:
        hooks.pop(name)
    if student.get('custom_hooks'):
        student.custom_hooks = [
            hook for hook in student.custom_hooks if not _is_ours(hook['type'], HOOKS)
        ]
    for key in ('val_evaluator', 'test_evaluator'):
        if student.get(key):
            student[key] = map_metrics(student[key], lambda metric, _: _stock_metric(metric))
    if student.get('visualizer', {}).get('vis_backends'):
        # What the others need may not be installed where the student runs.
        student.visualizer.vis_backends = [
            backend for backend in student.visualizer.vis_backends if backend['type'] == LOCAL
        ]
    if student.get('optim_wrapper', {}).get('constructor') == layer_decay.BRANCHED:
        student.optim_wrapper.constructor = layer_decay.STOCK
    for key in ('work_dir', 'load_from', 'resume', 'launcher'):
        student.pop(key, None)
    for key in [key for key in student if key not in RUNNER_KEYS]:
        # What only other entries of the config refer to, e.g. a preset.
        if __package__ in _packages(student[key]):
            student.pop(key)
    for path, kind in _types(student.to_dict()):
        if _is_ours(kind) and path != OWN_BACKBONE:
            raise UserError(f'{path}={kind!r} is of this package: a stock student cannot have it.')
    names = imports_of(student)
    imports = student.pop('custom_imports', {})
    # What only the training used, ours or the user's own.
    training = _packages({key: cfg.model.get(key) for key in OWN_MODEL_KEYS}) | {__package__}
    training -= _packages(student.to_dict())
    names = [name for name in names if name.split('.')[0] not in training]
    if needs_package(student.model) and __package__ not in names:
        names.append(__package__)
    if names:
        student.custom_imports = imports | dict(imports=names)
    return student


def needs_package(model: ConfigDict) -> bool:
    """Whether a student's model can be built only where this package is installed."""
    return _is_ours(model.backbone.type, MODELS)


def student_state(state_dict: dict[str, Tensor], branch: int) -> OrderedDict[str, Tensor]:
    """The weights of trunk and branch under the student's names."""
    state = OrderedDict()
    for name, value in state_dict.items():
        owner = student_name(name)
        if owner is None or owner[0] not in (None, branch):
            continue
        if owner[1] in state:
            raise AssertionError(f'law 2 is broken: trunk and branch both have {owner[1]}')
        state[owner[1]] = value.detach().cpu().clone()
    return state


def check_finite(state: dict[str, Tensor], source: str) -> None:
    """Look whether the weights are numbers.

    Raises:
        UserError: If some are not.
    """
    wrong = [name for name, value in state.items() if not value.isfinite().all()]
    if wrong:
        raise UserError(
            f'The checkpoint {source} holds NaN or infinity in {len(wrong)} tensors of the '
            f'student, e.g. {wrong[0]}: the training diverged; take an earlier checkpoint.'
        )


@torch.no_grad()
def check_equal(trained: nn.Module, student: nn.Module, branch: int) -> None:
    """Assert that the student's output equals its branch's bit for bit, on noise."""
    trained.eval(), student.eval()
    width, height = student.head.decoder.input_size
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 4 - 2
    maps, _ = trained.head.branch_forward(trained.backbone(images, [branch]), branch)
    output = student(images, None, mode='tensor')
    if not torch.equal(find_adapter(student.head).to_maps(output)[-1], maps[-1]):
        raise AssertionError(f'law 3 is broken: the student differs from {branch_name(branch)}')


def complexity(model: nn.Module) -> Complexity:
    """Parameters and multiply-adds at the codec's input size."""
    parameters = sum(p.numel() for p in model.parameters())
    return Complexity(parameters=parameters, flops=flop_analyzer(model).total())


def flop_analyzer(model: nn.Module) -> FlopAnalyzer:
    """What counts a stock network's multiply-adds, at the codec's input size.

    The network is put in evaluation mode, and does not decode any more.
    """
    width, height = model.head.decoder.input_size
    model.eval()
    model.forward = model._forward  # as mmpose's get_flops does: heatmaps without decoding
    analyzer = FlopAnalyzer(model, torch.zeros(1, 3, height, width))
    # Additions and batch norms, which it does not count, are no news.
    return analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def dataset_meta(config: Config, meta: dict) -> dict:
    """The dataset's meta information in plain types, from the checkpoint or the config."""
    given = meta.get('dataset_meta')
    if not given:
        dataset = config.train_dataloader.dataset
        given = parse_pose_metainfo(dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO)
    return _plain(given)


def _plain(value: Any) -> Any:
    """Without numpy, so that ``torch.load(weights_only=True)`` reads it."""
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_plain(entry) for entry in value)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _stock_metric(metric: dict) -> dict:
    return metric['metric'] if _is_ours(metric['type'], METRICS) else metric


def _is_ours(kind: Any, *registries: Registry) -> bool:
    return __package__ in _packages(dict(type=kind), *registries)


def _packages(value: Any, *registries: Registry) -> set[str]:
    """Packages that the types in a part of a config come from; names are of any registry."""
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
