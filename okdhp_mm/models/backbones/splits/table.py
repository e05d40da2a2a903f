"""Print docs/splits.md: run ``python -m okdhp_mm.models.backbones.splits.table``."""

from __future__ import annotations

from collections import defaultdict

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from . import find_family, split_points
from .vision_transformer import step_names

STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/{}_coco-256x{}.py'
EXAMPLES: tuple[dict | str, ...] = (
    STOCK.format('td-hm_hrnet-w32_8xb64-210e', 192),
    STOCK.format('td-hm_hrformer-small_8xb32-210e', 192),
    STOCK.format('td-hm_litehrnet-18_8xb64-210e', 192),
    dict(type='ResNet', depth=50),
    dict(type='ResNetV1d', depth=50),
    dict(type='ResNeXt', depth=50),
    dict(type='ResNeSt', depth=50),
    dict(type='SCNet', depth=50),
    dict(type='SEResNet', depth=50),
    dict(type='SEResNeXt', depth=50),
    dict(type='ViPNAS_ResNet', depth=50),
    dict(type='MobileNetV2'),
    dict(type='MobileNetV3', arch='small'),
    dict(type='ViPNAS_MobileNetV3'),
    dict(type='ShuffleNetV1'),
    dict(type='ShuffleNetV2'),
    dict(type='CSPNeXt'),
    dict(type='CPM', in_channels=3, out_channels=17),
    dict(type='HourglassNet', num_stacks=2),
    dict(type='StackedHourglass', num_stacks=4),
)
"""One backbone of every kind: its config, or the stock config that has it."""

PAGE = """\
# Where backbones can be split

`split='layer2'` shares all layers up to and including `layer2`. They are the trunk. Every branch
has its own copy of the layers after it. Split early: it
[gains more](benchmarks.md#where-to-part).

The points in the table are those of the size in the last column. Other sizes may have more or fewer
layers. A wrong name ends with an error that lists the right ones.

`split='whole'` shares the whole backbone. Every branch then has only its own neck and head. This
works with any backbone, listed or not, except the two named below.

| backbones | split points | shown for |
|---|---|---|
{rows}

MSPN and RSN are refused, because their heads train on targets of several sizes.

`python -m okdhp_mm.models.backbones.splits.table > docs/splits.md` writes this page. A test checks
that it is current.
"""


def split_groups() -> dict[tuple[str, tuple[str, ...]], list[tuple[str, str]]]:
    """Kinds of backbones, and words for their sizes, by family and split points."""
    init_default_scope('mmpose')
    groups = defaultdict(list)
    for example in EXAMPLES:
        backbone, size = build(example)
        family = find_family(backbone)
        assert family is not None  # the examples are backbones with split points
        points = tuple(split_points(backbone))
        groups[family.name, points].append((type(backbone).__name__, size))
    return groups


def split_page(groups: dict[tuple[str, tuple[str, ...]], list[tuple[str, str]]]) -> str:
    """Return the page, with one row for all kinds of backbones with the same points."""
    rows = [
        f'| {", ".join(kind for kind, _ in members)} | {", ".join(f"`{p}`" for p in points)} | '
        f'{members[0][1]} |'
        for (_, points), members in groups.items()
    ]
    # mmpretrain need not be installed.
    points = ', '.join(f'`{name}`' for name in step_names(12)[:-1])
    rows.append(f'| VisionTransformer of mmpretrain | {points} | ViTPose-small |')
    return PAGE.format(rows='\n'.join(rows))


def build(example: dict | str) -> tuple[nn.Module, str]:
    """Build a backbone, and describe its size."""
    if isinstance(example, str):
        cfg = Config.fromstring(f'_base_ = {example!r}\n', '.py')
        size = example.rpartition('td-hm_')[2].partition('_')[0]
        return MODELS.build(cfg.model.backbone), size
    settings = [f'{key}={value!r}' for key, value in example.items() if key != 'type']
    return MODELS.build(example), ', '.join(settings) or 'defaults'


if __name__ == '__main__':
    print(split_page(split_groups()), end='')
