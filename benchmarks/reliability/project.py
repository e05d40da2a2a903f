"""A tiny project as users have it: drawn data, a config, a checkpoint and an exported student."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from okdhp_mm.datasets.synthetic import write_coco

from .processes import run_tool
from .training import MAP, SIZE, config, import_all

PICTURES = 4
CODEC = dict(type='MSRAHeatmap', input_size=SIZE, heatmap_size=MAP, sigma=1)


@dataclass(frozen=True)
class Project:
    """Paths of a project.

    Attributes:
        folder: Folder of the others.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """Return the folder of drawn figures in COCO's layout."""
        return self.folder / 'data'

    @property
    def config(self) -> Path:
        """Return the training config of one epoch."""
        return self.folder / 'training.py'

    @property
    def checkpoint(self) -> Path:
        """Return the checkpoint of that training."""
        return self.folder / 'work' / 'epoch_1.pth'

    @property
    def student(self) -> Path:
        """Return the folder of the exported student, with its graph."""
        return self.folder / 'student'


def make_project(folder: Path, export: bool = True) -> Project:
    """Draw the data, train for one epoch, and export, by the tools.

    Args:
        folder: Folder for all of it.
        export: Whether to export a student and its graph.

    Raises:
        RuntimeError: If a tool does not succeed.
    """
    import_all()
    project = Project(folder)
    for split in ('train', 'val'):
        write_coco(project.data, split, PICTURES, seed=0)
    training_config(folder / 'work', project.data).dump(project.config)
    use(project.checkpoint, folder, 'train.py', project.config)
    if export:
        files = project.config, project.checkpoint, project.student
        use(project.student, folder, 'export_student.py', *files, '--onnx', '--decode')
    return project


def use(result: Path, folder: Path, *command: object) -> None:
    """Run a tool that writes a result."""
    run_tool(folder / 'log', *command)
    if not result.exists():
        raise RuntimeError(f'{command}: {(folder / "log").read_text()}')


def training_config(work_dir: Path, data: Path, **changes) -> Config:
    """Return the config of a training on files.

    Args:
        work_dir: Folder of the training.
        data: Folder of the data.
        changes: Further settings, by their keys with dots.
    """
    cfg = config(work_dir, 'okdhp')
    cfg.pop('custom_hooks')
    for split in ('train', 'val'):
        target = [dict(type='GenerateTarget', encoder=CODEC)] if split == 'train' else []
        cfg[f'{split}_dataloader'].dataset = dict(
            type='CocoDataset',
            data_root=str(data),
            ann_file=f'annotations/person_keypoints_{split}2017.json',
            data_prefix=dict(img=f'{split}2017/'),
            test_mode=split == 'val',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GetBBoxCenterScale'),
                dict(type='TopdownAffine', input_size=SIZE),
                *target,
                dict(type='PackPoseInputs'),
            ],
        )
    annotations = os.path.join(data, 'annotations', 'person_keypoints_val2017.json')
    metric = dict(type='CocoMetric', ann_file=annotations)
    cfg.val_evaluator = dict(type='MultiOutputMetric', metric=metric)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=1, save_best='coco/AP', rule='greater'
    )
    cfg.visualizer = dict(type='PoseLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
    # The inferencer of mmpose reads them.
    cfg.dataset_type, cfg.data_mode = 'CocoDataset', 'topdown'
    cfg.train_cfg.max_epochs = 1
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.test_cfg = dict()
    cfg.merge_from_dict(changes)
    return cfg
