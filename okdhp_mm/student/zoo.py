"""Export every student of one training, with a table of their costs and metrics."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.models.pose_estimators.base import BasePoseEstimator

from ..data.files import check_data
from ..errors import UserError
from ..evaluation.summary import main_metric
from ..io.atomic import atomic_write
from ..io.checkpoint import safe_loader
from ..io.config import require_key
from ..models.branch_configs import config_branches
from ..structures import branch_name
from .config import branch_to_export
from .export import Export, export_student
from .files import CARD
from .load import load_student

TABLE = 'students.csv'
ROUNDS = 20


@dataclass(frozen=True)
class StudentCard:
    """One student of the table.

    Attributes:
        export: Its files and costs.
        latency: Milliseconds of one image on one thread of the CPU, forward only.
        score: The main metric on the test split; None without test data.
    """

    export: Export
    latency: float
    score: float | None


def export_all(cfg: Config, checkpoint: str, out_dir: str | Path, force: bool = False) -> Path:
    """Export every branch to a folder of its own, and write a table of all students.

    Args:
        cfg: Training config.
        checkpoint: Any checkpoint of it.
        out_dir: Folder for ``branch0/``, ``branch1/``, ... and ``students.csv``.
        force: Whether to overwrite students that are already there.

    Returns:
        Path of the table.

    Raises:
        UserError: If the table or one of its students is already there, and see
            :func:`~okdhp_mm.student.export.export_student`.
    """
    out_dir = Path(out_dir)
    branch_to_export(cfg, 0)
    count = len(config_branches(cfg.model))
    # Check before writing the first student, so that an error leaves no incomplete table.
    names = ('student.*', CARD)
    patterns = [TABLE, *(f'{branch_name(m)}/{name}' for m in range(count) for name in names)]
    present = [str(file) for pattern in patterns for file in sorted(out_dir.glob(pattern))]
    if present and not force:
        raise UserError(f'{", ".join(present)} already there; --force overwrites.')
    exports = [
        export_student(cfg, checkpoint, out_dir / branch_name(m), m, force) for m in range(count)
    ]
    metric, scores = score_branches(cfg, checkpoint, count, out_dir)
    cards = [StudentCard(*row) for row in zip(exports, latencies(exports), scores, strict=True)]
    return write_table(cards, metric, out_dir / TABLE)


def score_branches(
    cfg: Config, checkpoint: str, count: int, work_dir: Path
) -> tuple[str, Sequence[float | None]]:
    """Return every branch's main metric on the test split, in one pass over it.

    Returns:
        The metric's name, and its value per branch; None without test data.
    """
    try:
        require_key(cfg, 'test_dataloader', 'The score')
        check_data(cfg, 'test')
    except UserError as missing:
        print(f'not evaluated: {missing}')
        metric, _ = main_metric(cfg, ())
        return metric or 'score', [None] * count
    cfg = Config(cfg.to_dict())
    cfg.load_from, cfg.work_dir = checkpoint, str(work_dir / 'test')
    cfg.resume = False  # or a resumed training's config would resume it
    cfg.model.test_cfg = dict(cfg.model.get('test_cfg') or {}, branch=0, report='all')
    with safe_loader():
        metrics = Runner.from_cfg(cfg).test()
    metric, _ = main_metric(cfg, metrics)
    # Without other outputs, take the first metric, like 'auto' of the CheckpointHook.
    metric = metric or next(iter(metrics), None)
    if metric is None or metric not in metrics:
        print(f'not scored: save_best={metric!r} is none of {", ".join(metrics)}.')
        return metric or 'score', [None] * count
    names = [metric, *(f'{branch_name(m)}/{metric}' for m in range(1, count))]
    return metric, [metrics.get(name) for name in names]


def latencies(exports: Sequence[Export]) -> list[float]:
    """Return the milliseconds that each student takes for one image, the fastest of several runs.

    This is CPU time of one thread. The students take turns after a round of warm-up, so other load
    of the machine slows all of them equally.
    """
    models = [load_student(export.config.parent) for export in exports]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _, *rounds = [[seconds(model) for model in models] for _ in range(1 + ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return [1000 * min(times) for times in zip(*rounds, strict=True)]


@torch.no_grad()
def seconds(model: BasePoseEstimator) -> float:
    """Return the CPU time for the heatmaps of one image, in seconds."""
    width, height = model.head.decoder.input_size
    image = torch.zeros(1, 3, height, width)
    start = time.process_time()
    model(image, None, mode='tensor')
    return time.process_time() - start


def write_table(cards: Sequence[StudentCard], metric: str, file: Path) -> Path:
    """Write the table as CSV, one row per student."""
    with atomic_write(file) as temporary, temporary.open('w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(['branch', 'parameters', 'flops', 'cpu_ms', metric, 'config', 'checkpoint'])
        for card in cards:
            cost = card.export.student
            score = '' if card.score is None else f'{card.score:.4f}'
            files = card.export.config, card.export.checkpoint
            row = [card.export.branch, cost.parameters, cost.flops, f'{card.latency:.2f}', score]
            writer.writerow([*row, *(path.relative_to(file.parent) for path in files)])
    return file
