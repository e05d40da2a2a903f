"""Hook that reports the effect of distillation on the branches, and warns if there is none."""

from __future__ import annotations

import math
from itertools import chain

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import LinearParamScheduler
from mmpose.registry import HOOKS
from torch import Tensor

from ...env.versions import check_torch
from ...errors import UserError
from ...models.distillers.diagnosis import Diagnosis, diagnose
from ...structures import branch_name
from ..model import model_of

MAX_INTERVAL = 50
"""Largest default of the iterations between two reports."""
MIN_PROGRESS = 0.1
"""Share of the training before which the hook does not warn."""
MIN_ITERATIONS = 200
"""Iterations before which the hook does not warn, however short the training is."""
RAMPED_UP = 0.99
"""Value of the schedule above which distillation counts as ramped up."""


@HOOKS.register_module()
class DistillReportHook(Hook):
    """Reports the effect of distillation in the log and in every visualization backend.

    - ``kd/grad_ratio``: share of the distillation in the gradient of the branches' final heatmaps.
    - ``branches/error_correlation``: mean correlation of the errors of two branches, 1 for copies;
      ``branches/peak_distance``: how far apart their peaks are, in heatmap pixels.
    - ``weights/branch0``: weight of a branch in the ensemble.

    The backends also get ``kd/grad_ratio_branch0`` and ``kd/schedule``, the factor of the ramp-up.
    Every ``keypoints_every``-th report adds ``weights/branch0/left_wrist`` for every keypoint.

    A report measures one batch of the main process. Other steps cost nothing. A compiled model runs
    the reported step uncompiled.

    Args:
        interval: Iterations between two reports. Default: 50, or a tenth of a short training.
        keypoints_every: The weights of every keypoint are in every ``keypoints_every``-th report.
        min_grad_ratio: Warn that distillation has no effect if ``kd/grad_ratio`` is lower.
        max_error_correlation: Warn that the branches collapsed if the correlation is higher.
        patience: Number of such reports in a row before a warning. Each warning is logged once,
            after the ramp-up of the distillation, the warm-up of the learning rate, the first
            tenth and the first 200 iterations of the training.

    Raises:
        UserError: If an interval or the patience is not positive; when a training starts, if torch
            is too old to run single steps of a compiled model uncompiled.
    """

    priority = 'NORMAL'  # before the LoggerHook

    def __init__(
        self,
        interval: int | None = None,
        keypoints_every: int = 20,
        min_grad_ratio: float = 0.01,
        max_error_correlation: float = 0.995,
        patience: int = 3,
    ):
        if min(1 if interval is None else interval, keypoints_every, patience) < 1:
            raise UserError(
                f'DistillReportHook: interval={interval}, keypoints_every={keypoints_every} and '
                f'patience={patience} must be at least 1.'
            )
        self.interval = interval
        self.keypoints_every = keypoints_every
        self.min_grad_ratio = min_grad_ratio
        self.max_error_correlation = max_error_correlation
        self._idle, self._alike = Patience(patience), Patience(patience)
        self._warm_up = 0
        self._report: Diagnosis | None = None

    def before_train(self, runner) -> None:
        """Check that a compiled model can be reported on, and read the length of the training."""
        self._warm_up = warm_up_of(runner)
        if self.interval is None:
            self.interval = max(1, min(MAX_INTERVAL, runner.max_iters // 10))
        if runner.cfg.get('compile'):
            # torch.compiler.set_stance requires it.
            check_torch('compile=True with a DistillReportHook', (2, 6))

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Observe the step if a report is due."""
        if self.every_n_train_iters(runner, self.interval):
            # Every process does the same: a step may have collective operations.
            model_of(runner).head.distiller.observer = self._observe
            set_stance(runner, 'force_eager')

    def _observe(self, *step) -> None:
        self._report = diagnose(*step)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write the report to the message hub, which the LoggerHook reads."""
        if self.interval is None or not self.every_n_train_iters(runner, self.interval):
            return
        set_stance(runner, 'default')
        model_of(runner).head.distiller.observer = None
        report, self._report = self._report, None
        if report is None or not is_main_process():
            return
        scalars = report.scalars()
        values = on_host(scalars | report.details())
        details = {}
        for name, value in values.items():
            if name in scalars:
                runner.message_hub.update_scalar(f'train/{name}', value)
            else:
                details[name] = value
        keypoint_interval = self.interval * self.keypoints_every
        if report.weights is not None and self.every_n_train_iters(runner, keypoint_interval):
            details |= by_keypoint(report.weights, runner.train_dataloader.dataset)
        if details:
            runner.visualizer.add_scalars(details, step=runner.iter + 1)
        self._warn(runner, values)

    def _warn(self, runner, values: dict[str, float]) -> None:
        settled = runner.iter >= max(MIN_ITERATIONS, MIN_PROGRESS * runner.max_iters, self._warm_up)
        if not settled or values.get('kd/schedule', 1) < RAMPED_UP:
            return
        idle = values.get('kd/grad_ratio', 1) < self.min_grad_ratio
        alike = values.get('branches/error_correlation', 0) > self.max_error_correlation
        # Copies have nothing to teach each other: then a larger weight is the wrong advice.
        if self._idle.update(idle and not alike and not self._alike.triggered):
            terms = model_of(runner).head.distiller.terms
            names = ', '.join(name for name, term in terms.items() if term.is_distillation)
            runner.logger.warning(
                f'Distillation has almost no effect: its share of the gradient of the branches is '
                f'{values["kd/grad_ratio"]:.2%}. Raise the loss_weight of {names}.'
            )
        if self._alike.update(alike):
            # Not after the advice to raise the weight.
            lower = (
                '' if idle or self._idle.triggered else ' Or lower the weight of the distillation.'
            )
            runner.logger.warning(
                'The branches have become copies of each other, which have nothing to teach: the '
                'correlation of their errors is '
                f'{values["branches/error_correlation"]:.4f}. Let them part '
                f'earlier (model.split) or start further apart (model.symmetry_noise).{lower}'
            )


class Patience:
    """Counter that triggers once, when a condition was true several times in a row."""

    def __init__(self, patience: int):
        self._left = self._patience = patience
        self.triggered = False

    def update(self, condition: bool) -> bool:
        """Count the condition. Return whether it triggers now."""
        self._left = self._left - 1 if condition else self._patience
        now = self._left <= 0 and not self.triggered
        self.triggered |= now
        return now


def warm_up_of(runner) -> int:
    """Return the last iteration of the warm-ups of learning rate and momentum."""
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):
        schedulers = chain(*schedulers.values())
    return max(
        (
            scheduler.end * (len(runner.train_dataloader) if scheduler.by_epoch else 1)
            for scheduler in schedulers
            if isinstance(scheduler, LinearParamScheduler)
            and scheduler.start_factor < scheduler.end_factor
        ),
        default=0,
    )


def on_host(named: dict[str, Tensor]) -> dict[str, float]:
    """Return the finite scalars. One transfer gets all of them from the device."""
    values = torch.stack(list(named.values())).tolist() if named else []
    return {name: value for name, value in zip(named, values, strict=True) if math.isfinite(value)}


def by_keypoint(weights: Tensor, dataset) -> dict[str, float]:
    """Return weights, (M, K), by branch and keypoint."""
    names = getattr(dataset, 'metainfo', {}).get('keypoint_id2name', {})
    return {
        f'weights/{branch_name(m)}/{names.get(k, k)}': value
        for m, row in enumerate(weights.tolist())
        for k, value in enumerate(row)
    }


def set_stance(runner, stance: str) -> None:
    """Set whether a compiled model runs eagerly. A report needs the graph of the gradients."""
    if runner.cfg.get('compile'):
        torch.compiler.set_stance(stance)
