"""Distiller: the loss terms of a distillation method."""

from __future__ import annotations

from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, is_grad_enabled, nn, ones

from ...errors import UserError
from ...structures import BranchOutputs, NetworkSpec, Targets
from .diagnosis import Diagnosis, diagnose


@MODELS.register_module()
class Distiller(nn.Module):
    """Sum of named loss terms. A distillation method is a config of terms, not a class.

    Args:
        terms: Maps the name of each term in the log to its config. mmengine adds up every entry
            whose name contains 'loss', so each name must begin with ``loss_``. None removes a
            term, e.g. ``dict(loss_kd=None)`` one of the default.

    Attributes:
        progress: Completed share of the training, a scalar buffer.
            :class:`okdhp_mm.engine.DistillProgressHook` updates it. It is 1 until it is set:
            without the hook, all schedules have their final value.

    Raises:
        UserError: If ``terms`` is empty, a term has no type, or a name does not begin with
            ``loss_``.
    """

    def __init__(self, terms: dict):
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
        self.terms = nn.ModuleDict({name: MODELS.build(term) for name, term in terms.items()})
        self.register_buffer('progress', ones(()), persistent=False)
        self._progress_known = False
        self._report_wanted = False
        self._report: Diagnosis | None = None

    def setup(self, spec: NetworkSpec, makes_peer_targets: bool) -> None:
        """Set up the parts of the terms that depend on the network, and validate them.

        Args:
            spec: Shapes and settings of the network.
            makes_peer_targets: Whether the aggregator computes one teacher per branch.

        Raises:
            UserError: If a term does not fit the network or the aggregator.
        """
        for name, term in self.terms.items():
            if term.needs_peer_targets and not makes_peer_targets:
                raise UserError(
                    f'{name}: {type(term).__name__} requires an aggregator that computes one '
                    "teacher per branch. Set e.g. aggregator=dict(type='PeerAttention')."
                )
            if term.needs_ema and not spec.ema:
                raise UserError(
                    f'{name}: {type(term).__name__} requires an EMA copy of the model. Set '
                    'model.ema=dict(momentum=0.001).'
                )
            term.setup(spec)
        if spec.teacher and not any(term.needs_teacher for term in self.terms.values()):
            raise UserError(
                f'model.teacher is set, but no term of the distiller ({", ".join(self.terms)}) '
                f'learns from it. Set teacher={spec.teacher!r} in one, or remove model.teacher.'
            )

    def check_batch(self, batch_size: int | None) -> None:
        """Check that every term can work with this batch size, None if it is not fixed.

        Raises:
            UserError: If a term cannot.
        """
        for term in self.terms.values():
            term.check_batch(batch_size)

    @property
    def needs_ema(self) -> bool:
        """Return whether any term reads :attr:`BranchOutputs.ema`."""
        return any(term.needs_ema for term in self.terms.values())

    @property
    def trains_aggregator(self) -> bool:
        """Return whether any term's gradient reaches the aggregator's parameters."""
        return any(term.trains_aggregator for term in self.terms.values())

    def set_progress(self, progress: float) -> None:
        """Set the completed share of the training, from 0 to 1."""
        self.progress.fill_(progress)
        self._progress_known = True

    def report_next(self) -> None:
        """Request a diagnosis of the next training step. Other steps are not measured."""
        self._report_wanted = True

    def take_report(self) -> Diagnosis | None:
        """Return the requested diagnosis once; None if no training step has run since."""
        report, self._report = self._report, None
        return report

    def forward(self, outputs: BranchOutputs, targets: Targets) -> dict[str, Tensor]:
        """Compute every term, a scalar, by name."""
        if not self._progress_known:
            self._warn_of_missing_hook()
        losses = {name: term(outputs, targets, self.progress) for name, term in self.terms.items()}
        if self._report_wanted and is_grad_enabled():
            self._report_wanted = False
            self._report = diagnose(self.terms, losses, outputs, targets, self.progress)
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
