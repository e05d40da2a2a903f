"""Finished trainings: what they were trained by, and their last validation."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from ..data.pseudo_labels.added_persons import has_added_persons
from ..errors import UserError, as_user_error
from ..evaluation.run_log import Curves, first_step, read_run_log
from ..evaluation.summary import main_metric
from ..models.branch_configs import ESTIMATOR, deployed_output
from ..recipes.alone import ALONE
from ..structures import ENSEMBLE, output_name
from .data import training_data, validation_data

SEED_FOLDER = re.compile(r'seed[_-]?\d+')
"""Name of a run's folder that does not name its method; that of its parent does."""
CONFIG = '*/vis_data/config.py'
"""Copy of the config that mmengine's LocalVisBackend writes next to the scalars."""


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: Work directory.
        method: Name of the method.
        seed: Seed of the training.
        metric: Name of the main metric.
        lower_is_better: Whether a smaller value of the metric is better.
        outputs: Value of the last validation by output; the deployed output comes first.
        model: JSON of the model's config.
        training: Data that it was trained on, see :func:`training_data`.
        validation: Data that it was validated on, see :func:`validation_data`.
    """

    folder: Path
    method: str
    seed: int
    metric: str
    lower_is_better: bool
    outputs: dict[str, float]
    model: str
    training: str
    validation: list[list]

    @property
    def deployed(self) -> float:
        """Return the value of the deployed output."""
        return next(iter(self.outputs.values()))

    @property
    def branches(self) -> float:
        """Return the mean of the branches."""
        return statistics.mean(v for name, v in self.outputs.items() if name != ENSEMBLE)

    @property
    def ensemble(self) -> float | None:
        """Return the value of the ensemble; None if the run has none."""
        return self.outputs.get(ENSEMBLE)


def read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """Read finished trainings; those with the same model and training data are of one method.

    Args:
        folders: Work directories.

    Raises:
        UserError: If one is not a finished training, or two are of the same method and seed.
    """
    runs: list[Run] = []
    names: dict[tuple[str, str], str] = {}
    for folder in map(Path, folders):
        run = read_run(folder)
        key = run.model, run.training
        if key not in names:
            own = [name for name in (name_of(folder), str(folder)) if name != run.method]
            labels = [run.method, *(f'{run.method} ({name})' for name in own)]
            names[key] = next(name for name in labels if name not in names.values())
        runs.append(replace(run, method=names[key]))
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        other = seen.setdefault((run.method, run.seed), run)
        if other is not run:
            raise UserError(
                f'{other.folder} and {run.folder} are both of {run.method} with seed {run.seed}. '
                'Name only one of them.'
            )
    return runs


def read_run(folder: Path, method: str | None = None) -> Run:
    """Read one finished training.

    Args:
        folder: Work directory.
        method: Name of its method; by default ``alone`` for a model without branches that learned
            from labels only, else the name of the folder, or of the one above ``seed0``.

    Raises:
        UserError: If the folder has no training, or one that is not finished.
    """
    configs = sorted(folder.glob(CONFIG))
    if not configs:
        raise UserError(
            f'{folder} has no training: no {CONFIG} is in it. Name the work directory of a '
            'finished training, logged by LocalVisBackend.'
        )
    with as_user_error(f'The config {configs[-1]} cannot be read', Exception):
        cfg = Config.fromfile(configs[-1], import_custom_modules=False)
    log = read_run_log(folder)
    check_finished(folder, cfg, log.validation)
    loader = cfg.get('train_dataloader')
    alone = cfg.model.type != ESTIMATOR and not (loader and has_added_persons(loader.dataset))
    deployed = output_name(deployed_output(cfg.model))
    metric, rule = main_metric(cfg, log.validation)
    if metric not in log.validation:
        metric = next(iter(log.validation))
    outputs = log.by_output(metric, deployed)
    values = {name: list(curve.values())[-1] for name, curve in outputs.items()}
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is None:
        raise UserError(
            f'{folder} was trained with a random seed, so it cannot be paired. Train it with '
            '--cfg-options randomness.seed=0.'
        )
    return Run(
        folder=folder,
        method=method or (ALONE if alone else name_of(folder)),
        seed=seed,
        metric=metric,
        lower_is_better=rule == 'less',
        outputs={deployed: values[deployed]} | values,
        model=json.dumps(cfg.model.to_dict(), sort_keys=True, default=str),
        training=training_data(cfg, folder),
        validation=validation_data(cfg),
    )


def name_of(folder: Path) -> str:
    """Return the name of the method in the path of a run."""
    folder = folder.resolve()
    return (folder.parent if SEED_FOLDER.fullmatch(folder.name) else folder).name


def check_finished(folder: Path, cfg: Config, validation: Curves) -> None:
    """Check that a training reached its end and was validated there.

    Raises:
        UserError: If it did not, or was not.
    """
    loop = cfg.get('train_cfg') or {}
    total = loop.get('max_epochs') or loop.get('max_iters')
    done = max((step for curve in validation.values() for step in curve), default=0)
    stops_early = any('EarlyStopping' in str(hook.type) for hook in cfg.get('custom_hooks') or ())
    if first_step(validation) == float('inf') or (done != total and not stops_early):
        raise UserError(
            f'{folder} is not a finished training: its last validation is at {done} of {total}. '
            'Finish it with tools/train.py ... --resume.'
        )


def check_comparable(runs: Sequence[Run]) -> None:
    """Check that all runs were validated with the same metric on the same data.

    Raises:
        UserError: If two have different metrics or data.
    """
    for run in runs:
        if run.metric != runs[0].metric:
            raise UserError(
                f'{runs[0].folder} was validated with {runs[0].metric}, {run.folder} with '
                f'{run.metric}. Only runs with the same metric can be compared.'
            )
        if run.validation != runs[0].validation:
            raise UserError(
                f'{runs[0].folder} was validated on {runs[0].validation}, {run.folder} on '
                f'{run.validation}. Only runs with the same validation data can be compared.'
            )
