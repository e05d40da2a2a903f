"""A tiny training on the CPU that takes a second or two, for checks that interrupt trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, HOOKS
from mmpose.testing import get_packed_inputs
from torch.utils.data import Dataset

from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.cli.runner import build_runner
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student.config import REGISTRIES

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE, MAP = (64, 64), (16, 16)
SEED = 1
VARIANTS = ('okdhp', 'pcl', 'mcl', 'EMAHook')
"""Names of methods, and okdhp with mmengine's ``EMAHook``."""


@DATASETS.register_module()
class NoisePeople(Dataset):
    """Random crops of persons, drawn anew each time by numpy as a pipeline's augmentation does."""

    def __init__(self, size: int):
        self.metainfo = parse_pose_metainfo(
            dict(from_file=str(CONFIGS / '_base_' / 'datasets' / 'coco.py'))
        )
        packed = get_packed_inputs(size, img_shape=SIZE, input_size=SIZE, heatmap_size=MAP)
        generator = np.random.default_rng(0)
        for sample in packed['data_samples']:
            corner = sample.input_center - sample.input_scale / 2
            places = generator.uniform(0.1, 0.9, (1, 17, 2)) * sample.input_scale
            sample.gt_instances.keypoints = (corner + places).astype(np.float32)
            sample.set_metainfo(dict(flip_indices=self.metainfo['flip_indices']))
        self.items = list(zip(packed['inputs'], packed['data_samples'], strict=True))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        image, sample = self.items[index]
        image = (image + torch.from_numpy(np.random.randint(0, 9, image.shape))).clamp(0, 255)
        return dict(inputs=image.to(torch.uint8), data_samples=sample)


@HOOKS.register_module()
class LossLog(Hook):
    """Appends the exact loss of each step to a file."""

    def __init__(self, file: str):
        self.file = file

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Write number and loss of the step."""
        with open(self.file, 'a') as log:
            log.write(f'{runner.iter} {outputs["loss"].item().hex()}\n')


def config(work_dir: Path, variant: str, **changes) -> Config:
    """Return the config of a training of three epochs of three steps, validated after each."""
    loader = dict(batch_size=2, num_workers=0, dataset=dict(type='NoisePeople', size=6))
    model = dict(
        type='OKDHPTopdownPoseEstimator',
        branches=3,
        split='layer3',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3),
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
        head=dict(
            type='HeatmapHead',
            in_channels=64,
            out_channels=17,
            deconv_out_channels=(8, 8, 8),
            deconv_kernel_sizes=(4, 4, 4),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=dict(type='MSRAHeatmap', input_size=SIZE, heatmap_size=MAP, sigma=2),
        ),
        test_cfg=dict(flip_test=False),
    )
    cfg = Config(
        dict(
            default_scope='mmpose',
            model=model,
            work_dir=str(work_dir),
            train_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=True)),
            val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
            train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
            val_cfg=dict(),
            val_evaluator=dict(type='MultiOutputMetric', metric=dict(type='PCKAccuracy')),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=1),
                checkpoint=dict(
                    type='CheckpointHook',
                    interval=1,
                    save_best='PCK',
                    rule='greater',
                    max_keep_ckpts=1,
                ),
                distill=dict(type='DistillProgressHook'),
            ),
            custom_hooks=[dict(type='LossLog', file=f'{work_dir}.losses')],
            randomness=dict(seed=SEED),
            log_level='WARNING',
        )
    )
    if variant == 'EMAHook':
        cfg.custom_hooks.append(dict(type='EMAHook', momentum=0.1))
    elif variant != 'okdhp':
        apply_method(cfg.model, variant)
    cfg.merge_from_dict(changes)
    return cfg


def import_all() -> None:
    """Import all that a training imports, so that forked processes need not."""
    for registry in REGISTRIES:
        while registry is not None:
            registry.import_from_location()
            registry = registry.parent


def train(cfg: Config, resume: bool) -> None:
    """Train as ``tools/train.py`` does."""
    with errors_in_one_sentence():
        cfg.resume = resume
        use_safe_loader()
        build_runner(cfg, 'train', 'val').train()


def lines_of(work_dir: Path) -> list[str]:
    """Return what :class:`LossLog` wrote; a killed training may leave half a line at the end."""
    log = Path(f'{work_dir}.losses')
    return log.read_text().splitlines() if log.exists() else []


def losses(lines: list[str]) -> dict[int, str]:
    """Return the last exact loss of each step."""
    return dict((int(step), loss) for step, loss in map(str.split, lines))
