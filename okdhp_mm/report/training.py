"""Write the report of a training: ``report.html`` in its work directory."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import mmcv
import mmengine
import mmpose
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ..engine.model import model_of
from ..errors import UserError, reason_of
from ..evaluation.run_log import CLOCKS, DIAGNOSES, RunLog, read_run_log
from ..evaluation.summary import OUTPUT, main_metric
from ..io.atomic import write_text
from ..keypoint_names import names_of
from ..models.branch_configs import ESTIMATOR, deployed_output
from ..structures import output_name
from ..version import __version__
from ..visualization import color_legend
from . import page
from .charts import line_chart
from .costs import training_costs
from .examples import example_pictures

NAME = 'report.html'
EXAMPLES = 6
PACKAGES = (mmpose, mmcv, mmengine, torch)
HEALTH = {
    'kd/grad_ratio': (
        'Share of distillation in the gradient',
        'It grows with the ramp-up. Near 0, distillation does nothing: raise its loss_weight.',
    ),
    'branches/error_correlation': (
        "Correlation of the branches' errors",
        'At 1 the branches are copies, which cannot teach each other. It is high at the start.',
    ),
    'branches/peak_distance': (
        "Distance between the branches' peaks",
        'In pixels of the heatmap. It falls while the branches learn.',
    ),
    'weights/branch': (
        'Weight of every branch in the ensemble',
        'Mean over keypoints. Equal weights are the start of every aggregator.',
    ),
    'kd/schedule': ('Ramp-up of distillation', 'Factor of the distillation weight.'),
}
"""Title and explanation of every chart of diagnoses, by the start of their names."""


@contextmanager
def reporting(runner: Runner, wanted: bool = True) -> Iterator[None]:
    """Write the report when the training in this block ends or is interrupted.

    Args:
        runner: Runner of the training.
        wanted: Write a report.
    """
    wanted = wanted and is_main_process()
    try:
        yield
    except KeyboardInterrupt:
        if wanted:
            try_to_write(runner, examples=0)
        raise
    if wanted:
        try_to_write(runner)


def try_to_write(runner: Runner, examples: int = EXAMPLES) -> Path | None:
    """Write the report; if that fails, log the reason, because the training itself is complete.

    Returns:
        The file, if it was written.
    """
    try:
        return write_report(runner, examples)
    except OSError as error:
        runner.logger.warning(f'{NAME} was not written: {error.strerror} ({error.filename}).')
    except Exception:
        # A bug in the report, told with its traceback. It must not look like a failed training.
        runner.logger.exception(f'{NAME} was not written because of a bug in its code.')
    return None


def write_report(runner: Runner, examples: int = EXAMPLES) -> Path:
    """Write the report of a training.

    Args:
        runner: Runner after its training.
        examples: Number of example pictures.

    Returns:
        The file.

    Raises:
        OSError: If the file cannot be written.
    """
    log, cfg = read_run_log(runner.work_dir), runner.cfg
    content = page.page(
        f'Training of {Path(cfg.filename or runner.experiment_name).stem}',
        header(runner, log),
        metrics_section(log, cfg),
        losses_section(log),
        health_section(log, cfg),
        costs_section(runner),
        *([examples_section(runner, examples)] if examples else []),
        run_section(cfg),
    )
    file = Path(runner.work_dir, NAME)
    write_text(file, content)
    runner.logger.info(f'The report is {file}.')
    return file


def header(runner: Runner, log: RunLog) -> str:
    """Return tiles with the main values."""
    cfg, model = runner.cfg, runner.cfg.model
    metric, curve, better = deployed_curve(log, cfg)
    values = {}
    if curve:
        best = better(curve, key=curve.get)
        values[f'best {metric}, {runner_unit(cfg)} {best}'] = f'{curve[best]:.4f}'
        values[f'last {metric}'] = f'{list(curve.values())[-1]:.4f}'
    unit = runner_unit(cfg)
    epochs = (runner.epoch, runner.max_epochs)
    done, total = epochs if unit == 'epoch' else (runner.iter, runner.max_iters)
    values[f'{unit}s of {total}'] = str(done)
    if 'backbone' in model:
        values['backbone'] = str(model.backbone.type)
    if model.type == ESTIMATOR:
        values['branches, deployed: ' + deployed_name(cfg)] = str(len(branches_of(runner)))
    state = '' if done >= total else ' It ended early.'
    return page.note(f'Written at {datetime.now():%Y-%m-%d %H:%M}.{state}') + page.tiles(values)


def metrics_section(log: RunLog, cfg: Config) -> str:
    """Return the curves of the main metric by output, and a table of all metrics."""
    metric, _, _ = deployed_curve(log, cfg)
    if metric is None:
        return page.section('Validation', page.text('The training was not validated.'))
    deployed = deployed_name(cfg)
    outputs = log.by_output(metric, deployed)
    ordered = {deployed: outputs.pop(deployed, {})} | outputs
    curves = {title_of(name, deployed): curve for name, curve in ordered.items() if curve}
    unit = runner_unit(cfg)
    charts = [page.chart(metric, line_chart(curves, unit))] if curves else []
    names = [name for name in metric_names(log) if name not in CLOCKS]
    by_metric = {name: log.by_output(name, deployed) for name in names}
    head = ['last validation', *ordered]
    rows = [
        [name, *(last(by_metric[name].get(output)) for output in ordered)]
        for name in names
        if by_metric[name].get(deployed)
    ]
    ensemble = [
        page.note(
            f'{deployed} is deployed (model.test_cfg.branch). A branch chosen by these metrics '
            'looks better here than on new data. The ensemble needs all branches at test time.'
        )
    ]
    notes = ensemble if len(ordered) > 1 else []
    return page.section('Validation', page.grid([*charts, page.table(head, rows)]), *notes)


def losses_section(log: RunLog) -> str:
    """Return the curves of the losses and the learning rate."""
    terms = {name: curve for name, curve in log.training.items() if name.startswith('loss_')}
    charts = [
        page.chart(title, line_chart(curves, 'iteration', log_scale=True), explanation)
        for title, curves, explanation in (
            ('Total loss', only(log, 'loss'), ''),
            ('Losses', terms, 'Every term with its weight.' if len(terms) > 1 else ''),
            ('Learning rate', only(log, 'lr'), ''),
            ('Accuracy on training batches', only(log, 'acc_pose'), ''),
        )
        if curves
    ]
    if not charts:
        return page.section('Training', page.text(no_log()))
    return page.section('Training', page.grid(charts))


def health_section(log: RunLog, cfg: Config) -> str:
    """Return the curves of the diagnoses of distillation."""
    charts = []
    for start, (title, explanation) in HEALTH.items():
        curves = {
            label_of(name): curve
            for name, curve in log.training.items()
            # Weights of single keypoints are too many for one chart.
            if name.startswith(start) and name.count('/') == 1
        }
        if curves:
            charts.append(page.chart(title, line_chart(curves, 'iteration'), explanation))
    if charts:
        return page.section('Distillation', page.grid(charts))
    if cfg.model.type != ESTIMATOR:
        why = f'{cfg.model.type} has no branches, so nothing was distilled.'
    else:
        why = f'No diagnoses were logged. {no_log()}'
    return page.section('Distillation', page.text(why))


def costs_section(runner: Runner) -> str:
    """Return the table of costs."""
    costs = training_costs(model_of(runner))
    if costs is None:
        return page.section('Cost', page.text('Costs are counted for top-down models only.'))
    rows = [
        [
            name,
            f'{cost.parameters / 1e6:.2f} M',
            f'{cost.flops / 1e9:.3f} G',
            f'{cost.size / 1e6:.1f} MB',
        ]
        for name, cost in costs.items()
    ]
    head = ['network', 'parameters', 'MACs', 'weights']
    about = 'MACs: multiply-adds of one forward pass. A teacher and an EMA copy are left out.'
    return page.section('Cost', page.table(head, rows), page.note(about))


def examples_section(runner: Runner, count: int) -> str:
    """Return pictures of validation samples."""
    title = 'Examples'
    if runner.val_loop is None:
        return page.section(title, page.text('The training has no validation data.'))
    dataset = runner.val_loop.dataloader.dataset
    try:
        pictures = list(islice(example_pictures(model_of(runner), dataset, count), count))
    except UserError as error:
        return page.section(title, page.text(f'There are no pictures: {reason_of(error)}'))
    figures = [page.picture(*picture) for picture in pictures]
    about = (
        'Validation samples, evenly spread. In each, the annotated keypoints are to the left of '
        f'the prediction of the deployed output. {color_legend(names_of(dataset.metainfo))}'
    )
    return page.section(title, page.note(about), page.grid(figures, 'pictures'))


def run_section(cfg: Config) -> str:
    """Return the command, the versions and the config."""
    rows = [['Python', platform.python_version()], ['okdhp_mm', __version__]]
    rows += [[module.__name__, module.__version__] for module in PACKAGES]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    rows.append(['device', device])
    rows.append(['seed', str(cfg.get('randomness', {}).get('seed', 'random'))])
    return page.section(
        'How it was trained',
        page.code(shlex.join(['python', *sys.orig_argv[1:]]), wrap=True),
        page.table(['software', 'version'], rows),
        page.details(
            'Complete config', page.code(json.dumps(cfg.to_dict(), indent=1, default=str))
        ),
    )


def deployed_curve(
    log: RunLog, cfg: Config
) -> tuple[str | None, dict[int, float], Callable[..., Any]]:
    """Return the main metric, its curve for the deployed output, and ``min`` or ``max``."""
    metric, rule = main_metric(cfg, log.validation)
    if metric not in log.validation:
        metric = next(iter(metric_names(log)), None)
    curve = {} if metric is None else log.validation.get(metric, {})
    return metric, curve, min if rule == 'less' else max


def metric_names(log: RunLog) -> list[str]:
    """Return the names of the deployed output's metrics."""
    return [
        name for name in log.validation if not OUTPUT.match(name) and not name.startswith(DIAGNOSES)
    ]


def deployed_name(cfg: Config) -> str:
    """Return the name of the deployed output."""
    if cfg.model.type != ESTIMATOR:
        return 'model'
    return output_name(deployed_output(cfg.model))


def title_of(output: str, deployed: str) -> str:
    """Return an output's name for a legend."""
    return f'{output} (deployed)' if output == deployed else output


def label_of(diagnosis: str) -> str:
    """Return a diagnosis's name for a legend: the branch, or the mean over the branches."""
    return name_of_branch[0] if (name_of_branch := re.search(r'branch\d+$', diagnosis)) else 'mean'


def runner_unit(cfg: Config) -> str:
    """Return the unit of the validation's steps."""
    loop = cfg.get('train_cfg') or {}
    iterations = loop.get('type') == 'IterBasedTrainLoop' or loop.get('by_epoch') is False
    return 'iter' if iterations else 'epoch'


def branches_of(runner: Runner) -> list:
    """Return the branches of the model."""
    return list(model_of(runner).head.branches)


def only(log: RunLog, name: str) -> Mapping[str, Mapping[int, float]]:
    """Return one curve of the training by its name; nothing if it was not logged."""
    return {name: log.training[name]} if name in log.training else {}


def last(curve: Mapping[int, float] | None) -> str:
    """Return the last value of a curve for a table."""
    return f'{list(curve.values())[-1]:.4f}' if curve else ''


def no_log() -> str:
    """Return the sentence about a training without logged curves."""
    return (
        'Nothing was logged: the training ended before the first report, or the visualizer has no '
        'LocalVisBackend.'
    )
