"""One run: trained by mmengine's runner, interrupted and resumed at will, evaluated once."""

from __future__ import annotations

import copy
import io
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import chain
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.datasets import MpiiDataset
from mmpose.structures import PoseDataSample
from torch import Tensor

from okdhp_mm.engine.model import model_of
from okdhp_mm.errors import UserError
from okdhp_mm.structures import ENSEMBLE, branch_name, output_name
from okdhp_mm.student.generalization_gap import generalization_gap

from .arms import Run
from .devices import device_name, may_be_paired
from .pairing import digest, initial_state, student_digest

RESULT = 'result.json'
BEGUN = 'begun.json'
CONFIG = 'config.py'
INITIAL = 'initial.pth'
LATEST = 'last_checkpoint'
WEIGHTS = 'last.pth'
METRICS = ('PCK', 'AUC')
TIMED_EVERY = 5
LAYOUT = torch.channels_last  # faster on a CPU; of a GPU it is not measured


class ProvenanceHook(Hook):
    """Keeps in every checkpoint what the run started from and saw, where, and how long steps took.

    Args:
        deadline: When to stop after an epoch, by the monotonic clock.
    """

    priority = 'HIGH'  # before the CheckpointHook

    def __init__(self, deadline: float):
        self.deadline = deadline
        self.facts = dict(initial='', device=None, batches=[], seconds=[])
        self._start = 0.0

    def before_train(self, runner) -> None:
        """Look at the weights, or at what the interrupted run has left.

        Raises:
            UserError: If that was on a CPU and this is a GPU, or the other way round.
        """
        here = device_name()
        if not runner.iter:
            initial = student_digest(model_of(runner).state_dict())
            self.facts.update(initial=initial, device=here)
            return
        self.facts |= json.loads(runner.message_hub.get_info('gain'))
        begun = self.facts['device']
        if not may_be_paired(begun, here):
            raise UserError(
                f'{runner.work_dir} was begun on {begun!r}, and this is {here!r}; go on where it '
                'was begun, or remove it.'
            )
        # The time of its steps is then that of neither.
        if begun and here not in begun.split(', '):
            self.facts['device'] = f'{begun}, {here}'

    def before_train_epoch(self, runner) -> None:
        """Tell the data which epoch it is."""
        runner.train_dataloader.dataset.epoch.fill_(runner.epoch)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Look at the first batch, and at the clock."""
        if batch_idx == 0:
            targets = [targets_of(sample) for sample in data_batch['data_samples']]
            self.facts['batches'].append(digest([*data_batch['inputs'], *chain(*targets)]))
        if batch_idx % TIMED_EVERY == 0:
            self._start = now()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look at the clock."""
        if batch_idx % TIMED_EVERY == 0:
            self.facts['seconds'].append(now() - self._start)

    def after_train_epoch(self, runner) -> None:
        """Keep it all, and stop in time."""
        runner.message_hub.update_info('gain', json.dumps(self.facts))
        runner.train_loop.stop_training = time.monotonic() > self.deadline

    def after_train(self, runner) -> None:
        """Let the workers go, if there are any."""
        # Left to the garbage collector, they lose their queues first and take five seconds each.
        runner.train_dataloader._iterator = None


def targets_of(sample: PoseDataSample) -> list[Tensor]:
    """Return the heatmaps of a person, or SimCC's labels."""
    if 'gt_fields' in sample:
        return [sample.gt_fields.heatmaps]
    labels = sample.gt_instance_labels
    return [labels.keypoint_x_labels, labels.keypoint_y_labels]


def now() -> float:
    """Seconds: on a GPU by the clock, once it is done; on a CPU, which others use too, its own."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def train(run: Run, cfg: Config, folder: Path, deadline: float) -> dict | None:
    """Train and evaluate, or go on with it.

    Args:
        run: The run.
        cfg: Its config.
        folder: Where it is kept.
        deadline: When to stop after an epoch, by the monotonic clock.

    Returns:
        What was found, also in ``result.json``; None if there was not time enough.

    Raises:
        UserError: If the folder holds a run of another model, or an interrupted one of other
            epochs or another kind of device.
    """
    model, epochs = json.loads(json.dumps(cfg.model.to_dict())), cfg.train_cfg.max_epochs
    done, resumes = finished(folder), (folder / LATEST).is_file()
    # A folder may be older than what is kept at the beginning.
    begun = done or (kept(folder / BEGUN) if resumes else None)
    if begun and without_paths(begun['model']) != without_paths(model):
        raise UserError(
            f'{folder} was trained with other settings of the model; remove it, or choose another '
            '--out.'
        )
    if done:
        return done
    if begun and begun['epochs'] != epochs:  # the cost was measured anew
        raise UserError(
            f'{folder} was begun for {begun["epochs"]} epochs, not {epochs}; remove it, or choose '
            'another --out.'
        )
    folder.mkdir(parents=True, exist_ok=True)
    # The runner writes it under this name, and need not spend seconds on its layout.
    cfg = Config(cfg.to_dict(), cfg_text=' ', filename=CONFIG, format_python_code=False)
    cfg.work_dir = str(folder)
    cfg.experiment_name = f'{run.student}_{run.arm_name}_{run.seed}_{time.time_ns()}'
    cfg.visualizer.name = cfg.experiment_name  # those of one name share the first one's folder
    provenance = ProvenanceHook(deadline)
    with hosts_silent():
        if resumes:
            cfg.resume = True
        else:
            cfg.load_from = str(folder / INITIAL)
            torch.save(dict(state_dict=initial_state(cfg, run.seed), meta={}), cfg.load_from)
            keep(folder / BEGUN, dict(model=model, epochs=epochs))
        runner = Runner.from_cfg(cfg)
        runner.model.to(memory_format=LAYOUT)
        runner.register_hook(provenance)
        runner.train()
        if runner.epoch < runner.max_epochs:
            return None
        selection, test = runner.val(), runner.test()
        runner.save_checkpoint(
            str(folder), WEIGHTS, save_optimizer=False, save_param_scheduler=False
        )
    result = dict(
        student=run.student,
        arm=run.arm_name,
        seed=run.seed,
        epochs=runner.max_epochs,
        iterations=runner.max_iters,
        step_seconds=statistics.median(provenance.facts.pop('seconds')),
        parameters=sum(p.numel() for p in model_of(runner).parameters()),
        **provenance.facts,
        selection=by_output(selection),
        test=by_output(test) | taught_by(model, tested),
        loss_ratio=loss_ratio(cfg, folder / WEIGHTS),
        model=model,
    )
    keep(folder / RESULT, result)
    # Half a gigabyte each, of a network of full size.
    for file in (folder / INITIAL, folder / LATEST, *folder.glob('epoch_*.pth')):
        file.unlink(missing_ok=True)
    return result


@contextmanager
def hosts_silent() -> Iterator[None]:
    """Keep the hosts' warnings, and what they print, to themselves."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def without_paths(model: dict) -> dict:
    """Return a model without the paths of its teacher, which depend on the spelling of --out."""
    if not model.get('teacher'):
        return model
    paths = ('config', 'checkpoint')
    teacher = {key: value for key, value in model['teacher'].items() if key not in paths}
    return model | dict(teacher=teacher)


def loss_ratio(cfg: Config, weights: Path) -> float:
    """Return the ratio of the student's losses on selection persons and on those trained on.

    Both are newly augmented: not as the training has seen them.
    """
    cfg = copy.deepcopy(cfg)
    dataset = cfg.train_dataloader.dataset
    dataset.type = MpiiDataset.__name__
    del dataset['seed'], dataset['augmentations']
    return generalization_gap(cfg, str(weights)).ratio


def taught_by(model: dict, tested: Callable[[Path], dict | None]) -> dict[str, dict[str, float]]:
    """Return the scores of the frozen teacher of a run, in place of those of an ensemble.

    Args:
        model: Its config.
        tested: Gives the scores of the run in a folder by output.
    """
    own = model.get('teacher') or {}
    config, output = own.get('config'), own.get('output') or 0
    teacher = tested(Path(config).parent) if config else None
    return {ENSEMBLE: teacher[output_name(output)]} if teacher else {}


def tested(folder: Path) -> dict[str, dict[str, float]] | None:
    """Return the scores of a finished run on the test persons, else None."""
    result = finished(folder)
    return result and result['test']


def finished(folder: Path) -> dict | None:
    """Return the result of a finished run, else None."""
    return kept(folder / RESULT)


def kept(file: Path) -> dict | None:
    """Return the content of a file, None if it does not exist."""
    return json.loads(file.read_text()) if file.is_file() else None


def keep(file: Path, found: dict) -> None:
    """Write a file, all of it or nothing."""
    part = file.with_name(f'{file.name}.part')
    part.write_text(json.dumps(found, indent=1))
    os.replace(part, file)


def by_output(figures: dict[str, float]) -> dict[str, dict[str, float]]:
    """Figures by output: of the student alone, or of every branch and the ensemble."""
    count = sum(name.startswith('branch') and name.endswith('/PCK') for name in figures)
    prefixes = {branch_name(0): ''}
    prefixes |= {branch_name(m): f'{branch_name(m)}/' for m in range(1, count + 1)}
    if f'{ENSEMBLE}/PCK' in figures:
        prefixes[ENSEMBLE] = f'{ENSEMBLE}/'
    return {
        name: {metric: float(figures[prefix + metric]) for metric in METRICS}
        for name, prefix in prefixes.items()
    }
