"""A distillation method: a sentence made of terms."""

from __future__ import annotations

from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, is_grad_enabled, nn, ones

from ...errors import UserError
from ...structures import BranchOutputs, NetworkSpec, Targets
from .diagnosis import Diagnosis, diagnose


@MODELS.register_module()
class Distiller(nn.Module):
    """The named terms whose sum trains the branches. A method is a config, not a class.

    Args:
        terms: Config of each term by the name under which it is logged. mmengine adds up every
            entry whose name contains 'loss', so each name has to begin with ``loss_``. None leaves
            a term out, as ``dict(loss_kd=None)`` does with one of a default.

    Attributes:
        progress: Share of the training that is over, a scalar buffer that
            :class:`okdhp_mm.engine.DistillProgressHook` keeps up to date. 1 until somebody sets
            it: without the hook, schedules stand at their end.

    Raises:
        UserError: If there is no term, one has no type, or a name does not begin with ``loss_``.
    """

    def __init__(self, terms: dict):
        super().__init__()
        terms = {name: term for name, term in terms.items() if term is not None}
        for name, term in terms.items():
            if 'type' not in term:
                raise UserError(f'Distiller: the term {name}={dict(term)} has no type.')
            if not name.startswith('loss_'):
                raise UserError(
                    f'Distiller: the term {name!r} must be named loss_..., '
                    'or mmengine leaves it out of the sum.'
                )
        if not terms:
            raise UserError(
                'Distiller: terms is empty; give at least one, e.g. '
                "loss_kpt=dict(type='Supervise', of='branches')."
            )
        self.terms = nn.ModuleDict({name: MODELS.build(term) for name, term in terms.items()})
        self.register_buffer('progress', ones(()), persistent=False)
        self._progress_known = False
        self._report_wanted = False
        self._report: Diagnosis | None = None

    def setup(self, spec: NetworkSpec, makes_mixtures: bool) -> None:
        """Let the terms build and check what depends on the network.

        Args:
            spec: Those of the network.
            makes_mixtures: Whether the aggregator makes a teacher for each branch of its own.

        Raises:
            UserError: If a term does not fit the network or the aggregator.
        """
        for name, term in self.terms.items():
            if term.needs_mixtures and not makes_mixtures:
                raise UserError(
                    f'{name}: {type(term).__name__} needs an aggregator that makes a teacher for '
                    "each branch of its own, such as aggregator=dict(type='PeerAttention')."
                )
            if term.needs_ema and not spec.ema:
                raise UserError(
                    f'{name}: {type(term).__name__} requires an EMA copy of the model. Keep '
                    'one by model.ema=dict(momentum=0.001).'
                )
            term.setup(spec)
        if spec.teacher and not any(term.needs_teacher for term in self.terms.values()):
            raise UserError(
                f'model.teacher is set, but no term of the distiller ({", ".join(self.terms)}) '
                f'learns from it. Set teacher={spec.teacher!r} in one, or leave model.teacher out.'
            )

    def check_batch(self, batch_size: int | None) -> None:
        """Look whether every term can work with batches of this size, None if it is not fixed.

        Raises:
            UserError: If one cannot.
        """
        for term in self.terms.values():
            term.check_batch(batch_size)

    @property
    def needs_ema(self) -> bool:
        """Whether any term reads :attr:`BranchOutputs.ema`."""
        return any(term.needs_ema for term in self.terms.values())

    @property
    def trains_aggregator(self) -> bool:
        """Whether any term's gradient reaches the aggregator's parameters."""
        return any(term.trains_aggregator for term in self.terms.values())

    def set_progress(self, progress: float) -> None:
        """Say how much of the training is over, from 0 to 1."""
        self.progress.fill_(progress)
        self._progress_known = True

    def report_next(self) -> None:
        """Ask for a diagnosis of the next training step; no other step is measured."""
        self._report_wanted = True

    def take_report(self) -> Diagnosis | None:
        """The diagnosis that was asked for, once; None if no step was made since."""
        report, self._report = self._report, None
        return report

    def forward(self, outputs: BranchOutputs, targets: Targets) -> dict[str, Tensor]:
        """Every term by name, scalars."""
        if not self._progress_known:
            self._warn_of_missing_hook()
        losses = {name: term(outputs, targets, self.progress) for name, term in self.terms.items()}
        if self._report_wanted and is_grad_enabled():
            self._report_wanted = False
            self._report = diagnose(self.terms, losses, outputs, targets, self.progress)
        return losses

    def _warn_of_missing_hook(self) -> None:
        self._progress_known = True  # once is enough
        scheduled = [name for name, term in self.terms.items() if term.schedule is not None]
        if self.training and scheduled:
            print_log(
                f'{", ".join(scheduled)}: the schedule stands at its end, for nothing reports the '
                "progress; add default_hooks=dict(distill=dict(type='DistillProgressHook')).",
                logger='current',
                level=30,
            )
