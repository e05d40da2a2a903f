"""Finished runs once more, on the training persons that none of them has seen in any way.

A student that learns from a part of the training persons leaves the others unseen: many more than
the test persons, so that chance decides less.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.config import Config
from mmengine.runner import Runner

from okdhp_mm.errors import UserError

from .arms import read
from .data import PairedMpii, Split
from .training import CONFIG, LAYOUT, WEIGHTS, by_output, hosts_silent, keep, kept

UNSEEN = 'unseen.json'


def evaluate_unseen(folder: Path, split: Split) -> dict[str, dict[str, float]]:
    """Return the scores of a run's outputs on unseen persons, also written to ``unseen.json``.

    Args:
        folder: Of a finished run.
        split: The persons.

    Returns:
        By output, as a result's ``test``, but without those of a frozen teacher.

    Raises:
        UserError: If the run's weights are gone.
    """
    if found := kept(folder / UNSEEN):
        return found
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(f'{weights} does not exist; remove {folder} and train it again.')
    cfg = Config.fromfile(folder / CONFIG)
    cfg.update(load_from=str(weights), resume=False)
    cfg.experiment_name = cfg.visualizer.name = f'unseen_{time.time_ns()}'
    loader = cfg.test_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    read(loader.dataset, split, loader.dataset.data_prefix.img)
    # Kept in memory for the next run.
    loader.dataset.update(type=PairedMpii.__name__, seed=0, augmentations=1)
    # The runner leaves a log and a config, which are not the training's.
    with TemporaryDirectory() as cfg.work_dir, hosts_silent():
        runner = Runner.from_cfg(cfg)
        runner.model.to(memory_format=LAYOUT)
        found = by_output(runner.test())
    keep(folder / UNSEEN, found)
    return found
