"""The demo: train branches, compare with the student alone, export, infer, draw.

Everything goes through the parts that a user has: the config, mmengine's runner, the stock metric,
the export and mmpose's inferencer. Only the data are drawn instead of downloaded.
"""

from __future__ import annotations

import io
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.image import imread
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.apis import MMPoseInferencer
from mmpose.registry import DATASETS

from ..datasets.synthetic import KEYPOINTS, write_coco
from ..engine.hooks.heatmap_vis import draw_strips
from ..errors import as_user_error
from ..structures import ENSEMBLE, branch_name
from ..student.config import student_config
from ..student.export import Export, export_student
from .pictures import prediction_sheet, score_bars

NUM_TRAIN, NUM_VAL = 1000, 200
AP = 'coco/AP'
PREDICTIONS_SHOWN = 8
FIGURE_SHOWN = 3
KEYPOINTS_SHOWN = ('left_wrist', 'right_elbow', 'left_knee')


class ProgressLine(Hook):
    """Hook that shows one line instead of a log, and keeps the metrics of the last validation."""

    def __init__(self, title: str):
        self.title = title
        self.start = time.monotonic()
        self.terminal = sys.stdout
        self.metrics: dict[str, float] = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Rewrite the line; in a file, where lines cannot be rewritten, once per epoch."""
        last = batch_idx + 1 == len(runner.train_dataloader)
        if not (last or (self.terminal.isatty() and batch_idx % 10 == 0)):
            return
        share = (runner.iter + 1) / runner.max_iters
        print(
            f'\r{self.title}: {share:4.0%}  epoch {runner.epoch + 1}/{runner.max_epochs}  '
            f'loss {float(outputs["loss"]):.4f}  {time.monotonic() - self.start:.0f} s ',
            end='' if self.terminal.isatty() and share < 1 else '\n',
            flush=True,
            file=self.terminal,
        )

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Keep the metrics."""
        self.metrics = metrics


def set_data_root(cfg: Config, folder: str | Path) -> None:
    """Name the folder of the drawn data wherever the config names one, in place."""
    cfg.data_root = f'{folder}/'
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.data_root = cfg.data_root
        if split != 'train':
            cfg[f'{split}_evaluator'].metric.ann_file = f'{cfg.data_root}{dataset.ann_file}'


def run_demo(cfg: Config, out_dir: str | Path) -> dict[str, float]:
    """Run the whole demo.

    Args:
        cfg: Training config, on COCO-format data, which are drawn where it says.
        out_dir: Folder for logs, student and pictures.

    Returns:
        AP by name: of every branch, of the ensemble, and of the student trained alone.

    Raises:
        UserError: If the data cannot be written.
    """
    out_dir = Path(out_dir)
    for dataset, split, number in (
        (cfg.train_dataloader.dataset, 'train', NUM_TRAIN),
        (cfg.val_dataloader.dataset, 'val', NUM_VAL),
    ):
        with as_user_error(f'The figures cannot be written to {dataset.data_root}', OSError):
            write_coco(dataset.data_root, split, number, seed=0)

    model, metrics = train(cfg, out_dir / 'okdhp', f'{cfg.model.branches} branches')
    _, alone = train(student_config(cfg, branch=0), out_dir / 'alone', 'student alone')
    others = [*map(branch_name, range(1, cfg.model.branches)), ENSEMBLE]
    scores = {branch_name(0): metrics[AP], **{name: metrics[f'{name}/{AP}'] for name in others}}
    scores['alone'] = alone[AP]

    with redirect_stdout(io.StringIO()):  # the COCO tools print whatever they do
        export = export_student(
            cfg, str(out_dir / 'okdhp' / 'last.pth'), out_dir / 'student', force=True
        )
        draw_predictions(cfg, export, out_dir / 'predictions.jpg')
        draw_heatmaps(cfg, model, out_dir / 'heatmaps.jpg')
        write_image(out_dir / 'scores.png', score_bars(scores))
    return scores


def train(cfg: Config, work_dir: Path, title: str) -> tuple[torch.nn.Module, dict[str, float]]:
    """Train by the config, quietly, and evaluate once at the end.

    Returns:
        The model, whose weights are also in ``last.pth``, and the validation's metrics.
    """
    cfg = Config(cfg.to_dict())
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'
    cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
    cfg.default_hooks.checkpoint = None
    progress = ProgressLine(title)
    with redirect_stdout(io.StringIO()):
        runner = Runner.from_cfg(cfg)
        runner.register_hook(progress)
        runner.train()
    runner.save_checkpoint(str(work_dir), 'last.pth', save_optimizer=False)
    return runner.model, progress.metrics


def draw_predictions(cfg: Config, export: Export, file: Path) -> None:
    """Run the exported student through mmpose's inferencer and draw what it finds."""
    inferencer = MMPoseInferencer(
        pose2d=str(export.config),
        pose2d_weights=str(export.checkpoint),
        det_model='whole_image',
        device=get_device(),
    )
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    infos = [dataset.get_data_info(i) for i in range(PREDICTIONS_SHOWN)]
    images = [imread(info['img_path']) for info in infos]
    results = list(inferencer([info['img_path'] for info in infos], batch_size=len(infos)))
    found = [result['predictions'][0][0] for result in results]
    sheet = prediction_sheet(
        images,
        ground_truth=[info['keypoints'][0] for info in infos],
        visibility=[info['keypoints_visible'][0] for info in infos],
        keypoints=[np.array(pose['keypoints']) for pose in found],
        scores=[np.array(pose['keypoint_scores']) for pose in found],
    )
    write_image(file, sheet)


def draw_heatmaps(cfg: Config, model: torch.nn.Module, file: Path) -> None:
    """Draw the heatmaps of one figure: of every branch, the ensemble and the target."""
    batch = pseudo_collate([DATASETS.build(cfg.val_dataloader.dataset)[FIGURE_SHOWN]])
    shown = [KEYPOINTS.index(name) for name in KEYPOINTS_SHOWN]
    (strip,) = draw_strips(model.eval(), batch, shown, KEYPOINTS)
    write_image(file, strip)


def write_image(file: Path, image: np.ndarray) -> None:
    """Write a picture, or say that it cannot be written."""
    if not cv2.imwrite(str(file), image):
        raise OSError(f'cannot write the picture {file}')
