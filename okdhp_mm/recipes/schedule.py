"""Length of a training: a schedule that fits the number of labeled persons, early stopping."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from mmengine.config import Config

from ..errors import UserError
from ..evaluation.summary import main_metric

STEPS = 1000
STEPS_AT = 64
"""The training has 1,000 steps for 64 persons, and twice as many for four times the persons."""
BATCH_SIZES = ((256, 8), (1000, 16), (5000, 32), (math.inf, 64))
"""Batch size below each number of persons."""
LEARNING_RATE = 4e-3
LEARNING_RATE_AT = 64
"""Batch size of that learning rate; it changes with the square root of the batch size."""
WARM_UP = 0.05
LONGEST_WARM_UP = 500
VALIDATIONS = 10
LOGGED = 50
LEAST_GAIN = 1e-3
"""Early stopping does not count a smaller gain of a metric as an improvement."""


@dataclass(frozen=True)
class Schedule:
    """Settings of a training that depend on the number of persons.

    Attributes:
        batch_size: Persons in a batch.
        steps_per_epoch: Batches in an epoch.
        epochs: Number of epochs.
        warm_up: Steps of the rising learning rate.
        val_interval: Epochs between two validations.
        learning_rate: Learning rate of AdamW after the warm-up.
        log_interval: Steps between two lines of the log.
        workers: Processes that load pictures.
    """

    batch_size: int
    steps_per_epoch: int
    epochs: int
    warm_up: int
    val_interval: int
    learning_rate: float
    log_interval: int
    workers: int

    @property
    def steps(self) -> int:
        """Number of all steps."""
        return self.epochs * self.steps_per_epoch


def fit_schedule(
    persons: int, epochs: int | None = None, batch_size: int | None = None
) -> Schedule:
    """Return the schedule for a number of labeled persons.

    Args:
        persons: Persons to train on.
        epochs: Number of epochs, if the user decides.
        batch_size: Batch size, if the user decides.
    """
    if batch_size is None:
        batch_size = next(size for below, size in BATCH_SIZES if persons < below)
    steps_per_epoch = math.ceil(persons / batch_size)
    if epochs is None:
        epochs = math.ceil(STEPS * math.sqrt(persons / STEPS_AT) / steps_per_epoch)
    steps = epochs * steps_per_epoch
    rate = LEARNING_RATE * math.sqrt(batch_size / LEARNING_RATE_AT)
    return Schedule(
        batch_size,
        steps_per_epoch,
        epochs,
        min(LONGEST_WARM_UP, max(1, round(WARM_UP * steps))),
        max(1, epochs // VALIDATIONS),
        float(f'{rate:.1e}'),
        min(LOGGED, steps_per_epoch),
        min(4, max(1, (os.cpu_count() or 1) // 2)),
    )


def stop_early(cfg: Config, patience: int) -> None:
    """Add mmengine's ``EarlyStoppingHook`` to a config, in place.

    It watches the metric of ``default_hooks.checkpoint.save_best``, which is that of the deployed
    branch.

    Args:
        cfg: Training config.
        patience: Number of validations without an improvement after which to stop.

    Raises:
        UserError: If the training does not validate, or the config does not name the metric.
    """
    if not cfg.get('val_dataloader'):
        raise UserError('--patience requires a validation. Set val_dataloader and val_evaluator.')
    metric, rule = main_metric(cfg, ())
    if metric is None:
        raise UserError(
            '--patience requires the name of a metric in default_hooks.checkpoint.save_best. Set '
            'it, for example by --cfg-options default_hooks.checkpoint.save_best=PCK'
        )
    hook = dict(
        type='EarlyStoppingHook',
        monitor=metric,
        rule=rule or 'greater',
        patience=patience,
        min_delta=LEAST_GAIN,
    )
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]
