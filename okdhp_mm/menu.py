"""Every student of one training, and what each costs and achieves."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import init_model

from .checkpoint import use_safe_loader
from .cli import check_data
from .errors import UserError
from .export import Export, branch_to_export, export_student
from .models.student import config_branches
from .structures import branch_name

MENU = 'menu.csv'
WARM_UP, REPEATS = 3, 15


@dataclass(frozen=True)
class Dish:
    """One student on the menu.

    Attributes:
        export: Where it is and what it costs.
        latency: Median milliseconds of one image on the CPU, forward only.
        score: The metric that ``save_best`` names, on the test split; None without test data.
    """

    export: Export
    latency: float
    score: float | None


def export_menu(cfg: Config, checkpoint: str, out_dir: str | Path, force: bool = False) -> Path:
    """Export every branch to a folder of its own, and write the menu beside them.

    Args:
        cfg: Training config.
        checkpoint: Any checkpoint of it.
        out_dir: Folder for ``branch0/``, ``branch1/``, ... and ``menu.csv``.
        force: Whether to overwrite students that are already there.

    Returns:
        Path of the menu.

    Raises:
        UserError: If a menu or one of its students is already there, and see
            :func:`~okdhp_mm.export.export_student`.
    """
    out_dir = Path(out_dir)
    branch_to_export(cfg, 0)
    count = len(config_branches(cfg.model))
    # Before the first is written: half a menu would stay behind.
    patterns = [MENU, *(f'{branch_name(m)}/student.*' for m in range(count))]
    present = [str(file) for pattern in patterns for file in sorted(out_dir.glob(pattern))]
    if present and not force:
        raise UserError(f'{", ".join(present)} already there; --force overwrites.')
    exports = [
        export_student(cfg, checkpoint, out_dir / branch_name(m), m, force) for m in range(count)
    ]
    metric, scores = score_branches(cfg, checkpoint, count, out_dir)
    dishes = [
        Dish(export, latency(export), score) for export, score in zip(exports, scores, strict=True)
    ]
    return write_menu(dishes, metric, out_dir / MENU)


def score_branches(
    cfg: Config, checkpoint: str, count: int, work_dir: Path
) -> tuple[str, Sequence[float | None]]:
    """Every branch's main metric on the test split, in one pass over it.

    Returns:
        The metric's name, and its value per branch; None where the test data are not there.
    """
    metric = cfg.default_hooks.get('checkpoint', {}).get('save_best') or 'score'
    try:
        check_data(cfg, 'test')
    except UserError as missing:
        print(f'not evaluated: {missing}')
        return metric, [None] * count
    use_safe_loader()
    cfg = Config(cfg.to_dict())
    cfg.load_from, cfg.work_dir = checkpoint, str(work_dir / 'test')
    cfg.model.setdefault('test_cfg', {}).update(branch=0, report='all')
    figures = Runner.from_cfg(cfg).test()
    names = [metric, *(f'{branch_name(m)}/{metric}' for m in range(1, count))]
    return metric, [figures.get(name) for name in names]


@torch.no_grad()
def latency(export: Export) -> float:
    """Median milliseconds of the student's heatmaps of one image on the CPU."""
    model = init_model(str(export.config), str(export.checkpoint), device='cpu')
    width, height = model.head.decoder.input_size
    image = torch.zeros(1, 3, height, width)
    seconds = []
    for _ in range(WARM_UP + REPEATS):
        start = time.perf_counter()
        model(image, None, mode='tensor')
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[WARM_UP:])


def write_menu(dishes: Sequence[Dish], metric: str, file: Path) -> Path:
    """Write the menu as CSV, one row per student."""
    with file.open('w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow(['branch', 'parameters', 'flops', 'cpu_ms', metric, 'config', 'checkpoint'])
        for dish in dishes:
            cost = dish.export.student
            score = '' if dish.score is None else f'{dish.score:.4f}'
            files = dish.export.config, dish.export.checkpoint
            row = [dish.export.branch, cost.parameters, cost.flops, f'{dish.latency:.2f}', score]
            writer.writerow([*row, *(path.relative_to(file.parent) for path in files)])
    return file
