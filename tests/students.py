"""Tiny exported students, for tests of what is done with one."""

from pathlib import Path

import torch
from common import build, head, resnet, shake, stock_model
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from okdhp_mm.student.config import dataset_meta, student_config

DEMO = Path(__file__).parents[1] / 'configs' / 'okdhp' / 'demo.py'
SIZE = (64, 96)
MSRA = dict(type='MSRAHeatmap', input_size=SIZE, heatmap_size=(16, 24), sigma=2)
SIMCC = dict(type='SimCCLabel', input_size=SIZE, sigma=4.0, simcc_split_ratio=2.0)
HEADS = {
    'MSRAHeatmap': lambda codec: head(16, codec, deconv=(8,)),
    'SimCCLabel': lambda codec: dict(
        type='SimCCHead',
        in_channels=16,
        out_channels=17,
        input_size=SIZE,
        in_featuremap_size=(8, 12),
        simcc_split_ratio=codec['simcc_split_ratio'],
        deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=codec,
    ),
}


def write_student(folder, codec=MSRA):
    """Write ``student.py`` and ``student.pth`` of a tiny ResNet with weights that differ."""
    config = student_config(Config.fromfile(DEMO), 0)
    # Two stages: the exporter takes its time for every layer.
    backbone = resnet(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
    parts = dict(backbone=backbone, head=HEADS[codec['type']](codec))
    config.model = stock_model('resnet', **parts)
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    meta = dict(dataset_meta=dataset_meta(config, dict(dataset_meta=meta)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'student.py').write_text(config.pretty_text)
    state = shake(build(config.model)).state_dict()
    torch.save(dict(state_dict=state, meta=meta), folder / 'student.pth')
    return folder
