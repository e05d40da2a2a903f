"""Write checkpoints that survive a crash at any moment and resume a training exactly."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmpose.registry import HOOKS
from torch import nn

from ...errors import UserError
from ...io.atomic import remove_temporary, write_text
from ...io.backend import ATOMIC
from ...io.resume import POINTER
from ..model import model_of
from ..random_state import random_state, set_random_state
from .finite_loss import ADVICE, last_good

KEY = 'resume_state'
"""Entry of a checkpoint: random states of all processes, and whether its validation is over."""
LATEST = 'latest.pth'
"""Checkpoint of an epoch between those of the interval; the next checkpoint replaces it."""
LONGEST_LOSS = 60
"""Seconds of training that may be lost; older epochs are kept in ``LATEST``."""


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, with complete files, finite weights and exact resuming.

    - A file is replaced in one step. An older one is removed only after the new one and
      ``last_checkpoint`` are complete.
    - An epoch between two checkpoints of the interval is kept in ``latest.pth`` if the last
      checkpoint is older than a minute, so that Ctrl-C or a crash costs little.
    - Weights that are NaN or infinite stop the training instead of being saved.
    - The checkpoint holds the state of the random numbers. If the training was killed between the
      checkpoint and the end of the validation that follows it, the resumed training starts with
      that validation, so that no best checkpoint is missed.

    The command ``train`` uses it in place of every ``CheckpointHook``.
    """

    backend_args: dict | None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        remote = '://' in str(self.out_dir or '')
        if self.backend_args is None and self.file_client_args is None and not remote:
            self.backend_args = dict(backend=ATOMIC)
        self._states = None
        self._validated = False
        self._resumed = None
        self._saved = 0.0
        self.saved_iter = 0

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the state to resume with; mmengine sets its seed only after this."""
        self._resumed = checkpoint.get(KEY)

    def before_train(self, runner) -> None:
        """Remove files of killed processes, and restore the state of a resumed training."""
        super().before_train(runner)
        if is_main_process():
            remove_temporary(self.out_dir, '*.pth')
            remove_temporary(runner.work_dir, POINTER)
            outdated = runner.message_hub.runtime_info.get('outdated_best', ())
            self._remove_all_but_best(outdated)
        resumed, self._resumed = self._resumed, None
        loop = runner.train_loop
        self._saved, self.saved_iter = time.monotonic(), loop.iter
        if loop.iter:
            # Otherwise mmengine would not write it again after a new best.
            self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
        if not loop.iter or resumed is None:  # new weights only, or a checkpoint of mmengine's hook
            return
        states = resumed['random']
        rank, world_size = runner.rank, runner.world_size
        if len(states) != world_size:
            runner.logger.warning(
                f'The checkpoint is of {len(states)} processes and this training has {world_size}: '
                'its random numbers differ from those of the uninterrupted training.'
            )
            return
        set_random_state(states[rank])
        if not resumed['validated'] and _validates(runner):
            runner.logger.info('The checkpoint precedes a validation, which is done now.')
            runner.val_loop.run()
        if not isinstance(loop, EpochBasedTrainLoop):
            # mmengine draws random numbers while it skips the batches that are done.
            self._resumed = random_state()

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Continue with the random numbers of an iteration-based training."""
        if self._resumed is not None:
            set_random_state(self._resumed)
            self._resumed = None

    def after_train_epoch(self, runner) -> None:
        """Save the checkpoint of the interval, or keep this epoch until the next one."""
        before = self._saved
        super().after_train_epoch(runner)
        # All processes do what the main one decides, because they save together.
        old = all_gather_object(time.monotonic() - self._saved >= LONGEST_LOSS)[0]
        if self.by_epoch and self._saved == before and old:
            self._gather(runner)
            self._save(runner, LATEST, dict(epoch=runner.epoch + 1, iter=runner.iter))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the state to resume with."""
        if self._states is not None:
            checkpoint[KEY] = dict(random=self._states, validated=self._validated)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        self._gather(runner)
        hub = runner.message_hub
        name = self.filename_tmpl.format(step)
        kept = list(self.keep_ckpt_ids) if self.max_keep_ckpts > 0 else []
        if self.max_keep_ckpts > 0 and step not in kept:
            # Includes those that are removed below. Otherwise mmengine removes them after a resume.
            kept.append(step)
            hub.update_info('keep_ckpt_ids', kept)
        last = Path(hub.runtime_info.get('last_ckpt') or '')
        self._save(runner, name, meta)
        if last.name == LATEST:
            self._remove(LATEST)
        if self.max_keep_ckpts > 0:
            for outdated in kept[: -self.max_keep_ckpts]:
                self._remove(self.filename_tmpl.format(outdated))
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save(self, runner, name: str, meta: dict) -> None:
        """Write a checkpoint to resume from, and then ``last_checkpoint``."""
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', path)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._states = None
        self.last_ckpt = path
        self._saved, self.saved_iter = time.monotonic(), meta['iter']
        if is_main_process():
            write_text(Path(runner.work_dir) / POINTER, path)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if not self.save_best:
            return
        self._gather(runner)
        self._states = None  # a best checkpoint is not for resuming
        before = self._best()
        hub = runner.message_hub
        # Part of the checkpoint that is written next, so that a resumed training removes them.
        hub.update_info('outdated_best', list(filter(None, before.values())))
        # mmengine removes the old files before it writes the new ones, unless it has no old ones.
        self._set_best(dict.fromkeys(before))
        self._validated = True
        super()._save_best_checkpoint(runner, metrics)
        self._validated = False
        self._set_best({key: path or before.get(key) for key, path in self._best().items()})
        if is_main_process():
            self._remove_all_but_best(before.values())
        hub.update_info('outdated_best', [])

    def _best(self) -> dict[str, str | None]:
        """Return the best checkpoint of each metric."""
        if len(self.key_indicators) == 1:
            return dict(best=self.best_ckpt_path)
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['best']
        else:
            self.best_ckpt_path_dict = paths

    def _remove_all_but_best(self, paths: Iterable[str | None]) -> None:
        current = self._best().values() if self.save_best else ()
        for path in set(filter(None, paths)) - set(current):
            self._remove(path)

    def _remove(self, path: str) -> None:
        # Only the name counts, in the folder of this training. The path comes from a checkpoint,
        # which may be crafted, or the folder may have been moved.
        file = self.file_backend.join_path(self.out_dir, os.path.basename(path))
        if is_main_process() and self.file_backend.isfile(file):
            self.file_backend.remove(file)

    def _gather(self, runner) -> None:
        """Collect the random states of all processes, and check that the weights are finite."""
        processes = all_gather_object((is_finite(model_of(runner)), random_state()))
        if not all(finite for finite, _ in processes):
            raise UserError(
                f'The weights are NaN or infinite after step {runner.iter}, so they are not '
                f'saved. {last_good(runner)} {ADVICE}'
            )
        self._states = [state for _, state in processes]


def is_finite(model: nn.Module) -> bool:
    """Return whether all weights and statistics of a model are finite; wait for the device once."""
    finite = [
        tensor.isfinite().all()
        for tensor in model.state_dict().values()
        if tensor.is_floating_point()
    ]
    return not finite or bool(torch.stack(finite).all())


def _validates(runner) -> bool:
    """Return whether the training loop validates at its current step."""
    loop = runner.train_loop
    if runner.val_loop is None or not isinstance(loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
        return False
    loop._decide_current_val_interval()
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    now, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    return now >= loop.val_begin and (now % loop.val_interval == 0 or now == last)
