"""Text of the training config for own data: a stock config and what differs from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

from ..data.own_dataset import OwnDataset
from ..visualization.colors import keypoint_colors
from .convert import method_text
from .methods import all_imports
from .schedule import Schedule
from .students import Student

SIGMA = 0.05
"""Sigma of every keypoint for COCO's AP, about the mean of COCO's own."""
PCK = 0.05


@dataclass(frozen=True)
class Files:
    """Paths that the config names.

    Attributes:
        train: Annotations to train on.
        val: Annotations to validate on.
        images: Folder of the pictures to train on.
        val_images: Folder of the pictures to validate on.
        weights: Pretrained weights of the backbone; None for those of the stock config, '' for
            a start from scratch.
    """

    train: Path
    val: Path
    images: Path
    val_images: Path
    weights: Path | str | None


def config_text(
    student: Student,
    train: OwnDataset,
    codec: dict,
    schedule: Schedule,
    files: Files,
    method: str,
    flip: bool = True,
    branches: int = 3,
) -> str:
    """Return the text of a training config.

    Args:
        student: The student that is trained.
        train: The annotations to train on.
        codec: Codec of the keypoints.
        schedule: The schedule.
        files: Paths that it names.
        method: Name or file of the distillation method.
        flip: Whether to train on mirrored pictures as well, if there are flip pairs.
        branches: Number of branches.
    """
    flips = flip and bool(train.flip_pairs)
    lowest = f'{schedule.learning_rate / 100:.1e}'
    head = f'{head_text(student)}out_channels=len(keypoints), decoder=codec'
    flip_line = "    dict(type='RandomFlip', direction='horizontal'),\n" if flips else ''
    flip_note = (
        'A mirrored picture swaps the keypoints of each flip pair. Change the pairs if they are\n'
        '# wrong. To train without mirrored pictures, remove RandomFlip below and set '
        'flip_test=False.'
        if flips
        else 'Pictures are not mirrored. To mirror them, check the flip pairs, and add\n'
        "# dict(type='RandomFlip', direction='horizontal') to train_pipeline, and set "
        'flip_test=True.'
    )
    return f"""\
# {train.category['name']}: {len(train.persons)} to train on, {len(train.keypoints)} keypoints.
# Written by `python -m okdhp_mm convert`; it holds what differs from the stock config below.
_base_ = {student.base!r}
custom_imports = dict(imports={all_imports({}, method)!r}, allow_failed_imports=False)

train_file = {str(files.train)!r}
val_file = {str(files.val)!r}
train_images = {f'{files.images}/'!r}
val_images = {f'{files.val_images}/'!r}

# {flip_note}
keypoints = {pretty(train.keypoints)}
flip_pairs = {pretty(train.flip_pairs)}
skeleton = {pretty(train.skeleton)}
swap = dict([*flip_pairs, *[(right, left) for left, right in flip_pairs]])
# Red, green and blue of each keypoint in drawings.
colors = {pretty([list(color[::-1]) for color in keypoint_colors(tuple(train.keypoints))])}
color = dict(zip(keypoints, colors))
metainfo = dict(
    dataset_name={train.category['name']!r},
    keypoint_info={{
        i: dict(name=name, id=i, type='', swap=swap.get(name, ''), color=color[name])
        for i, name in enumerate(keypoints)
    }},
    skeleton_info={{
        i: dict(link=(a, b), id=i, color=color[b]) for i, (a, b) in enumerate(skeleton)
    }},
    joint_weights=[1.0] * len(keypoints),
    # For the AP only: how exactly each keypoint can be labeled, relative to the size of the box.
    sigmas=[{SIGMA}] * len(keypoints),
)

# The network. Width and height of its input must be multiples of 32.
{pretty_codec(codec)}
{method_text(method).strip()}
model = method | dict(
    type='OKDHPTopdownPoseEstimator',
    branches={branches},
    split={student.split!r},
{backbone_text(student, files.weights)}    head=dict({head}),
    test_cfg=method.get('test_cfg', {{}}) | dict(flip_test={flips}),
)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
{flip_line}    dict(type='RandomBBoxTransform', scale_factor=(0.75, 1.25), rotate_factor=40),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size={schedule.batch_size},
    num_workers={schedule.workers},
    dataset=dict(
        data_root='',
        ann_file=train_file,
        data_prefix=dict(img=train_images),
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers={schedule.workers},
    dataset=dict(
        data_root='',
        ann_file=val_file,
        bbox_file='',
        data_prefix=dict(img=val_images),
        metainfo=metainfo,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

# PCK: share of keypoints that are nearer to the truth than {PCK:.0%} of the longer side of the box.
val_evaluator = [
    dict(type='MultiOutputMetric', metric=dict(type='PCKAccuracy', thr={PCK})),
    dict(type='MultiOutputMetric', metric=dict(type='CocoMetric', ann_file=val_file)),
]
test_evaluator = val_evaluator

# {schedule.steps} steps: {schedule.epochs} epochs of {schedule.steps_per_epoch}.
# The learning rate rises in the first {schedule.warm_up} steps.
train_cfg = dict(max_epochs={schedule.epochs}, val_interval={schedule.val_interval})
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr={schedule.learning_rate}, weight_decay=1e-4
    )
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end={schedule.warm_up}, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max={schedule.epochs},
        eta_min={lowest},
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(
    checkpoint=dict(
        interval={schedule.val_interval}, max_keep_ckpts=1, save_best='PCK', rule='greater'
    ),
    logger=dict(interval={schedule.log_interval}),
    distill=dict(type='DistillProgressHook'),
    report=dict(type='DistillReportHook'),
)
custom_hooks = []
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
randomness = dict(seed=0)
"""


def pretty(value: list) -> str:
    """Return a list as Python text of at most 100 columns."""
    return pformat(value, width=88, compact=True)


def pretty_codec(codec: dict) -> str:
    """Return the assignment of the codec, one line per entry."""
    lines = [f'    {name}={value!r},' for name, value in codec.items()]
    return '\n'.join(['codec = dict(', *lines, ')'])


def backbone_text(student: Student, weights: Path | str | None) -> str:
    """Return the line of the config that changes the backbone, or nothing."""
    backbone = dict(student.backbone)
    if weights == '':
        backbone['init_cfg'] = None
    elif weights is not None:
        backbone['init_cfg'] = dict(_delete_=True, type='Pretrained', checkpoint=str(weights))
    if not backbone:
        return ''
    return f'    backbone={code(backbone)},\n'


def code(value: object) -> str:
    """Return a value as Python text, with ``dict(...)`` for dicts."""
    if not isinstance(value, dict):
        return repr(value)
    return f'dict({", ".join(f"{name}={code(part)}" for name, part in value.items())})'


def head_text(student: Student) -> str:
    """Return the arguments of the head that depend on the student."""
    text = ''.join(f'{name}={value!r}, ' for name, value in student.head.items())
    if student.simcc:
        text += (
            "input_size=codec['input_size'], "
            "in_featuremap_size=tuple(side // 32 for side in codec['input_size']), "
        )
    return text
