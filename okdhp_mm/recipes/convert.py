"""Convert a stock heatmap or SimCC config to one that trains branches."""

from __future__ import annotations

import ast
import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS

from ..engine.optim import layer_decay
from ..errors import UserError, as_user_error
from ..evaluation.evaluator_config import EvaluatorConfig, has_metrics
from ..io.atomic import write_text
from ..io.config import read_config
from ..io.data_files import safe_handlers
from ..models.backbones.branched import WHOLE
from ..models.backbones.splits import find_family, split_points
from ..models.branch_configs import ESTIMATOR, STOCK_ESTIMATOR, config_branches
from ..models.heads.adapters import find_adapter
from ..models.heads.infer_shapes import size_as_user_error
from ..models.teachers import FrozenTeacher
from ..student.complexity import count_flops
from .methods import all_imports, apply_method, method_file

TENSORBOARD = 'TensorboardVisBackend'


@dataclass(frozen=True)
class Conversion:
    """Config that was written.

    Attributes:
        config: Path of the training config.
        branches: Number of branches.
        split: Split point.
        points: Split points of the backbone, without 'whole'.
        stock_parameters: Parameters of the stock network, and of any student.
        trained_parameters: Parameters of the network that is trained.
    """

    config: Path
    branches: int
    split: str
    points: list[str]
    stock_parameters: int
    trained_parameters: int


def convert_config(
    stock: str,
    out: str | Path,
    branches: int = 3,
    split: str | None = None,
    force: bool = False,
    method: str | None = None,
    teacher: Sequence[str] | None = None,
) -> Conversion:
    """Write a training config for a stock config, after building both models once.

    Args:
        stock: Path of the stock config, or its name, 'mmpose::...'.
        out: Path of the training config.
        branches: Number of branches.
        split: Split point; by default :func:`default_split`.
        force: Whether to overwrite ``out``.
        method: Name or file of the method; by default the config sets none, which means OKDHP.
        teacher: Config and checkpoint of the network that an offline method learns from.

    Raises:
        UserError: If the config or method does not exist, OKDHP cannot train its model, the method
            needs a teacher or has no use for the given one, or ``out`` is there, or is ``stock``.
    """
    out = Path(out)
    if out.suffix != '.py':
        raise UserError(f'{out} must end in .py, as every mmengine config does.')
    if out.exists() and not force:
        raise UserError(f'{out} exists already; --force overwrites it.')
    external = '::' in stock
    if not external and out.resolve() == Path(stock).resolve():
        raise UserError(f'{out} is the stock config, which must stay; choose another -o.')
    cfg = read_stock(stock if external else os.path.abspath(stock))
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    teacher = [os.path.abspath(file) for file in teacher or ()]
    model = training_model(cfg, branches, method, teacher)
    network = build(cfg.model, stock)
    # First, because a head without an adapter cannot have branches, whatever the split is.
    find_adapter(network.head)
    # The method may have its own split, and its own branches.
    split = model.get('split') or split or default_split(network)
    branches = len(config_branches(model))
    arguments = branches, split, method, teacher
    # Build from this text, so that a config that cannot be read is never written.
    text = config_text(cfg, stock if external else os.path.abspath(stock), *arguments)
    with as_user_error(f'The training config of {stock} cannot be read back', Exception):
        written = Config.fromstring(text, '.py')
    trained = build(written.model, stock)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (network, trained)]
    trained.load_teacher()  # to report a file that is missing or does not fit

    base = stock if external else Path(os.path.relpath(stock, out.parent)).as_posix()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, config_text(cfg, base, *arguments))
    points = split_points(network.backbone)
    return Conversion(out, branches, split, points, *sizes)


def read_stock(stock: str) -> Config:
    """Read a stock config.

    Raises:
        UserError: If it cannot be read, cannot be inherited, or is not of a top-down estimator.
    """
    # A config is a program, which can raise anything.
    with as_user_error(f'{stock} cannot be inherited as a config', Exception), safe_handlers():
        cfg = Config.fromstring(f'_base_ = {stock!r}\n', '.py')
    model = cfg.get('model') or {}
    kind = model.get('type')
    if kind == ESTIMATOR:
        raise UserError(f'{stock} is an OKDHP config already; start from the stock config.')
    if kind != STOCK_ESTIMATOR:
        raise UserError(
            f'{stock} has model.type={kind!r}; OKDHP distills the heatmaps or SimCC distributions '
            f'of a {STOCK_ESTIMATOR!r}.'
            # DWPose's configs name another config as their student.
            + (
                f' Start from its student, {student}.'
                if (student := model.get('student_cfg'))
                else ''
            )
        )
    return cfg


def build(model: dict, stock: str) -> BasePoseEstimator:
    """Build a model.

    Raises:
        UserError: If it cannot be built.
    """
    kinds = (AssertionError, ImportError, LookupError, OSError, TypeError, ValueError)
    with as_user_error(f'The model of {stock} cannot be built here', *kinds):
        return MODELS.build(copy.deepcopy(model))


def default_split(network: BasePoseEstimator) -> str:
    """Return the split point with about half of the backbone's multiply-adds below it.

    It is 'whole' for a backbone without split points. The head does not count, because every branch
    has its own: where it is most of a small network, half of the whole would leave the branches
    nothing else.

    Raises:
        UserError: If the network cannot take images of its codec's size.
    """
    family = find_family(network.backbone)
    if family is None:
        return WHOLE
    with size_as_user_error(network.head):
        flops = count_flops(network)
    steps = family.steps(network.backbone)
    costs = [sum(flops[f'backbone.{path}'] for path in step.children) for step in steps]
    shares = {step.name: sum(costs[: i + 1]) / sum(costs) for i, step in enumerate(steps[:-1])}
    return min(shares, key=lambda point: abs(shares[point] - 0.5), default=WHOLE)


def training_model(cfg: Config, branches: int, method: str | None, teacher: Sequence[str]) -> dict:
    """Return the stock model with branches; the method or the caller sets where they part.

    Raises:
        UserError: If the method needs a teacher, or has no use for the given one.
    """
    model = cfg.model | dict(type=ESTIMATOR, branches=branches)
    if method:
        apply_method(model, method)
    own = model.get('teacher') or {}
    offline = own.get('type') == FrozenTeacher.__name__
    if teacher and not offline:
        learner = f'the method {method!r}' if method else 'the default method'
        raise UserError(
            f'--teacher {teacher[0]}: {learner} learns from its own branches; offline methods, '
            'like fpd, have a teacher.'
        )
    if teacher:
        config, checkpoint = teacher
        own.update(config=config, checkpoint=checkpoint)
    elif offline and not (own.get('config') and own.get('checkpoint')):
        raise UserError(
            f'--method {method} learns from a trained network; name it by '
            '--teacher CONFIG CHECKPOINT.'
        )
    return model


def method_text(name: str) -> str:
    """Return the lines of a config that define a method, and its name for the overview."""
    return f'method_name = {Path(name).stem!r}\n{method_definition(name)}'


def method_definition(name: str) -> str:
    """Return a method's file with its comments, or its outcome if it inherits or has more in it."""
    file = method_file(name)
    text = file.read_text()
    body = ast.parse(text).body
    names = {ast.unparse(target) for node in body for target in getattr(node, 'targets', [node])}
    if names <= {'method', 'custom_imports'}:
        return text
    return Config(dict(method=read_config(file).method)).pretty_text


def config_text(
    cfg: Config,
    base: str,
    branches: int,
    split: str,
    method: str | None,
    teacher: Sequence[str],
) -> str:
    """Return the lines that make a stock config a training config.

    The method is copied into them, because a path to its file would depend on this installation.
    """
    named = 'config={!r}, checkpoint={!r}'.format(*teacher) if teacher else ''
    where = 'on a shared backbone' if split == WHOLE else f'above {split}'
    count = f'{branches} {"branch" if branches == 1 else "branches"}'
    imports = all_imports(cfg, method)
    lines = [
        f'# {Path(base.rpartition("::")[2]).stem}: {count} {where}.',
        f'_base_ = {base!r}',
        '',
        *([method_text(method)] if method else []),
        # After the method, which may have its own.
        f'custom_imports = dict({delete_flag(cfg, "custom_imports")}imports={imports!r}, '
        'allow_failed_imports=False)',
        f'model = dict(type={ESTIMATOR!r}, branches={branches}, split={split!r})',
        *(['model.update(method)'] if method else []),
        *([f"model['teacher'].update({named})"] if teacher else []),
        f'default_hooks = dict({delete_flag(cfg, "default_hooks")}',
        "    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')",
        ')',
    ]
    backends = (cfg.get('visualizer') or {}).get('vis_backends') or ()
    if backends and not any(backend.type == TENSORBOARD for backend in backends):
        lines.append(
            'visualizer = dict(\n'
            f'    vis_backends=[*_base_.visualizer.vis_backends, dict(type={TENSORBOARD!r})]\n'
            ')'
        )
    if cfg.get('optim_wrapper', {}).get('constructor') == layer_decay.STOCK:
        lines.append(f'optim_wrapper = dict(constructor={layer_decay.BRANCHED!r})')
    lines += [
        f'{key} = {evaluator_text(cfg[key], f"_base_.{key}")}'
        for key in ('val_evaluator', 'test_evaluator')
        if cfg.get(key)
    ]
    return '\n'.join(lines) + '\n'


def delete_flag(cfg: Config, key: str) -> str:
    """Return the flag that makes a dict replace a ``None`` of the stock config."""
    return '_delete_=True, ' if key in cfg and cfg[key] is None else ''


def evaluator_text(evaluator: EvaluatorConfig, name: str) -> str:
    """Return the code that wraps every metric of an evaluator, which the config has at ``name``."""
    if isinstance(evaluator, (list, tuple)):
        return f"[dict(type='MultiOutputMetric', metric=m) for m in {name}]"
    if has_metrics(evaluator):
        return f'dict(metrics={evaluator_text(evaluator["metrics"], f"{name}.metrics")})'
    return f"dict(_delete_=True, type='MultiOutputMetric', metric={name})"
