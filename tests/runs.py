"""Real, tiny trainings by the runner, with every hook of the package."""

import os
import signal

import numpy as np
from common import batch, okdhp_model
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

METAINFO = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))


class Noise(Dataset):
    """Random images, targets and poses inside them."""

    metainfo = METAINFO

    def __init__(self, size):
        packed = batch(size)
        generator = np.random.default_rng(0)
        for sample in packed['data_samples']:
            corner = sample.input_center - sample.input_scale / 2
            keypoints = corner + generator.uniform(0.1, 0.9, (1, 17, 2)) * sample.input_scale
            sample.gt_instances.keypoints = keypoints.astype(np.float32)
        self.items = [
            dict(zip(packed, item, strict=True)) for item in zip(*packed.values(), strict=True)
        ]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class CtrlC(Hook):
    """Sends SIGINT to this process in one step of the training."""

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            # A shell makes the jobs in its background ignore it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.kill(os.getpid(), signal.SIGINT)


def loader(size, batch_size=2):
    return dict(
        batch_size=batch_size,
        dataset=Noise(size),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=pseudo_collate,
    )


def runner_of(work_dir, model=None, kind=Runner, **changes):
    """A runner of two epochs of three steps, validated after each, that writes everything."""
    settings = dict(
        model=model or okdhp_model(),
        work_dir=str(work_dir),
        train_dataloader=loader(6),
        val_dataloader=loader(4),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(),
        val_evaluator=dict(type='MultiOutputMetric', metric=dict(type='PCKAccuracy')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', save_best='PCK', rule='greater'),
            distill=dict(type='DistillProgressHook'),
            report=dict(type='DistillReportHook', interval=2, keypoints_every=2),
        ),
        custom_hooks=[dict(type='BranchVisualizationHook', interval=2, samples=2)],
        visualizer=dict(
            type='PoseLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
        ),
        default_scope='mmpose',
        experiment_name=work_dir.name,
    )
    settings |= changes
    return kind(**settings, cfg=Config(dict(default_hooks=settings['default_hooks'])))
