"""Distiller: the loss terms of a distillation method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, is_grad_enabled, nn, ones

from ...errors import UserError
from ...structures import BranchOutputs, NetworkSpec, Targets
from .terms.base import Term

Observer = Callable[
    [Mapping[str, Term], Mapping[str, Tensor], BranchOutputs, Targets, Tensor], None
]
"""Function of the terms, their losses, the outputs, the targets and the progress of a step."""

REMEDIES = dict(
    ema='an EMA copy of the model. Set model.ema=dict(momentum=0.001).',
    teacher="a teacher outside of the branches. Set model.teacher=dict(type='FrozenTeacher', ...).",
    unlabeled='views of the unlabeled images. Set model.unlabeled=dict().',
    peer_targets='an aggregator that computes one teacher per branch. Set e.g. '
    "aggregator=dict(type='PeerAttention').",
)
"""Advice for each field of the outputs that a model may not provide."""


@MODELS.register_module()
class Distiller(nn.Module):
    """Sum of named loss terms. A distillation method is a config of terms, not a class.

    Args:
        terms: Maps the name of each term in the log to its config. mmengine adds up every entry
            whose name contains 'loss', so each name must begin with ``loss_``. None removes a
            term, e.g. ``dict(loss_kd=None)`` one of the default.
        spec: Shapes and settings of the network.

    Attributes:
        progress: Completed share of the training, a scalar buffer.
            :class:`okdhp_mm.engine.DistillProgressHook` updates it. It is 1 until it is set:
            without the hook, all schedules have their final value.
        observer: Function that sees every training step before its backward pass; None for none.

    Raises:
        UserError: If ``terms`` is empty, a term has no type, a name does not begin with
            ``loss_``, or a term does not fit the network or requires a field that is not filled.
    """

    progress: Tensor

    def __init__(self, terms: dict, spec: NetworkSpec):
        super().__init__()
        terms = {name: term for name, term in terms.items() if term is not None}
        for name, term in terms.items():
            if 'type' not in term:
                raise UserError(
                    f'Distiller: the term {name}={dict(term)} has no type. Add type=..., or check '
                    'the name if this should change a default term.'
                )
            if not name.startswith('loss_'):
                raise UserError(
                    f'Distiller: the term {name!r} must be named loss_..., '
                    'because mmengine sums only terms with such names.'
                )
        if not terms:
            raise UserError(
                'Distiller: terms is empty. Set at least one, e.g. '
                "loss_kpt=dict(type='SupervisedTerm', of='branches')."
            )
        built = nn.ModuleDict(
            {name: MODELS.build({**term, 'spec': spec}) for name, term in terms.items()}
        )
        self.terms = cast('Mapping[str, Term]', built)
        self._check_requirements(spec)
        self.register_buffer('progress', ones(()), persistent=False)
        self.observer: Observer | None = None
        # A buffer of 1 does not tell a finished training from one without the hook. The flag does,
        # without a host sync, and limits the warning to the first step.
        self._progress_known = False

    def _check_requirements(self, spec: NetworkSpec) -> None:
        for name, term in self.terms.items():
            for field in sorted(term.requires - spec.provided):
                remedy = REMEDIES.get(field, f'BranchOutputs.{field}, which this model lacks.')
                raise UserError(f'{name}: {type(term).__name__} requires {remedy}')
        if spec.teacher and 'teacher' not in self.requires:
            raise UserError(
                f'model.teacher is set, but no term of the distiller ({", ".join(self.terms)}) '
                f'learns from it. Set teacher={spec.teacher!r} in one, or remove model.teacher.'
            )
        if 'unlabeled' in spec.provided - self.requires:
            raise UserError(
                f'model.unlabeled is set, but no term of the distiller ({", ".join(self.terms)}) '
                "uses it. Add loss_unlabeled=dict(type='UnlabeledTerm'), or remove model.unlabeled."
            )

    def check_batch(self, batch_size: int | None) -> None:
        """Check that every term can work with this batch size, None if it is not fixed.

        Raises:
            UserError: If a term cannot.
        """
        for term in self.terms.values():
            term.check_batch(batch_size)

    @property
    def requires(self) -> frozenset[str]:
        """Return the fields of :class:`BranchOutputs` that the terms read."""
        return frozenset().union(*(term.requires for term in self.terms.values()))

    @property
    def trains_aggregator(self) -> bool:
        """Return whether any term's gradient reaches the aggregator's parameters."""
        return any(term.trains_aggregator for term in self.terms.values())

    def set_progress(self, progress: float) -> None:
        """Set the completed share of the training, from 0 to 1."""
        self.progress.fill_(progress)
        self._progress_known = True

    def forward(self, outputs: BranchOutputs, targets: Targets) -> dict[str, Tensor]:
        """Compute every term, a scalar, by name."""
        if not self._progress_known:
            self._warn_of_missing_hook()
        losses = {name: term(outputs, targets, self.progress) for name, term in self.terms.items()}
        if self.observer is not None and is_grad_enabled():
            self.observer(self.terms, losses, outputs, targets, self.progress)
        return losses

    def _warn_of_missing_hook(self) -> None:
        self._progress_known = True  # Warn only once.
        scheduled = [name for name, term in self.terms.items() if term.schedule is not None]
        if self.training and scheduled:
            print_log(
                f'{", ".join(scheduled)}: the schedule has its final value from the start, because '
                'the progress of the training is not reported. Add '
                "default_hooks=dict(distill=dict(type='DistillProgressHook')).",
                logger='current',
                level=30,
            )
