"""Students that a config for own data can have, by short names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mmengine.config import Config, ConfigDict

from ..errors import UserError

COCO = 'mmpose::body_2d_keypoint'
STRIDE = 32
"""Input sizes must be multiples of it."""
SIGMA = 2
"""Width of the targets in pixels of the heatmap, the stock config's for every input size."""
KERNEL = 11
"""Kernel of DARK, which smooths heatmaps of that width before it looks for their peaks."""


@dataclass(frozen=True)
class Student:
    """A stock network, and where its branches part.

    Attributes:
        base: Name of the stock config.
        split: Split point (docs/splits.md).
        backbone: Changes to the backbone of the stock config.
        head: Changes to its head.
        simcc: Whether the head predicts SimCC distributions instead of heatmaps.
    """

    base: str
    split: str
    backbone: dict = field(default_factory=dict)
    head: dict = field(default_factory=dict)
    simcc: bool = False


def heatmap_config(name: str) -> str:
    """Return the name of a stock config with heatmaps."""
    return f'{COCO}/topdown_heatmap/coco/td-hm_{name}_8xb64-210e_coco-256x192.py'


NARROW = dict(deconv_out_channels=(64, 64, 64))
"""Head of the fast students: the stock one, 256 channels wide, costs more than the backbone."""
STUDENTS = dict(
    mobilenetv2=Student(heatmap_config('mobilenetv2'), 'layer2', head=NARROW),
    shufflenetv2=Student(heatmap_config('shufflenetv2'), 'layer1', head=NARROW),
    resnet18=Student(
        heatmap_config('res50'),
        'layer2',
        dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
        dict(in_channels=512),
    ),
    hrnet_w32=Student(heatmap_config('hrnet-w32'), 'stage3'),
    rtmpose_s=Student(
        f'{COCO}/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py', 'stage2', simcc=True
    ),
)


def find_student(name: str) -> Student:
    """Return a student by its short name.

    Raises:
        UserError: If it does not exist.
    """
    if name not in STUDENTS:
        raise UserError(f'The student {name!r} does not exist. Use one of: {", ".join(STUDENTS)}.')
    return STUDENTS[name]


def stock_backbone(student: Student) -> ConfigDict:
    """Return the config of a student's backbone."""
    cfg = Config.fromstring(
        f'_base_ = {student.base!r}\nmodel = dict(backbone={student.backbone!r})\n', '.py'
    )
    return cfg.model.backbone


def codec_of(student: Student, size: tuple[int, int]) -> dict:
    """Return the codec of a student for an input size (width, height).

    Raises:
        UserError: If the size is not a multiple of the stride of the networks.
    """
    if any(side < 2 * STRIDE or side % STRIDE for side in size):
        raise UserError(
            f'--input-size {size[0]}x{size[1]} does not fit: width and height must be multiples '
            f'of {STRIDE}, from {2 * STRIDE} up, e.g. 128x128.'
        )
    if student.simcc:
        sigma = tuple(round(math.sqrt(side / 8), 2) for side in size)
        return dict(type='SimCCLabel', input_size=size, sigma=sigma)
    return dict(
        type='MSRAHeatmap',
        input_size=size,
        heatmap_size=(size[0] // 4, size[1] // 4),
        sigma=SIGMA,
        unbiased=True,
        blur_kernel_size=KERNEL,
    )
