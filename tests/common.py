"""Tiny stock models and batches, for tests that have no time for real ones."""

import copy
import sys
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from mmpose.testing import get_packed_inputs

import okdhp_mm  # noqa: F401  (registers)
from okdhp_mm.models.distillers.diagnosis import diagnose

init_default_scope('mmpose')

NUM_KEYPOINTS = 17
INPUT_SIZE = (64, 64)
HEATMAP_SIZE = (16, 16)

CODEC = dict(type='MSRAHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=2)
PREPROCESSOR = dict(
    type='PoseDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)


class Touch:
    """A pickle of this leaves a file behind when it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def hrnet(**changes):
    """HRNet with the stock topology, one module per stage, one block per branch, and no width."""
    widths = [8, 16, 32, 64]

    def stage(branches, block='BASIC'):
        return dict(
            num_modules=1,
            num_branches=branches,
            block=block,
            num_blocks=(1,) * branches,
            num_channels=tuple(widths[:branches]),
        )

    stem = dict(
        num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(16,)
    )
    extra = dict(stage1=stem, stage2=stage(2), stage3=stage(3), stage4=stage(4))
    return dict(type='HRNet', in_channels=3, extra=extra) | changes


def resnet(**changes):
    return dict(type='ResNet', depth=18, base_channels=8, stem_channels=8) | changes


def head(in_channels, codec=CODEC, deconv=(8, 8, 8), **changes):
    return (
        dict(
            type='HeatmapHead',
            in_channels=in_channels,
            out_channels=NUM_KEYPOINTS,
            deconv_out_channels=deconv,
            deconv_kernel_sizes=deconv and (4,) * len(deconv),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=codec,
        )
        | changes
    )


def stock_model(name='hrnet', codec=CODEC, **changes):
    """Config of a tiny stock estimator; the changes replace whole entries."""
    parts = {
        'hrnet': lambda: dict(backbone=hrnet(), head=head(8, codec, deconv=None)),
        'resnet': lambda: dict(backbone=resnet(), head=head(64, codec)),
    }[name]()
    model = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=PREPROCESSOR,
        test_cfg=dict(flip_test=False, flip_mode='heatmap', shift_heatmap=False),
    )
    return ConfigDict(copy.deepcopy(model | parts | changes))


def okdhp_model(name='hrnet', codec=CODEC, **changes):
    """Config of the same estimator, multiplied."""
    own = dict(
        type='OKDHPTopdownPoseEstimator',
        branches=3,
        split='stage3' if name == 'hrnet' else 'layer3',
    )
    test_cfg = changes.pop('test_cfg', {})
    model = stock_model(name, codec, **(own | changes))
    model.test_cfg.update(test_cfg)
    return model


def build(config):
    return MODELS.build(copy.deepcopy(config))


def make_model(name='hrnet', codec=CODEC, **changes):
    """A tiny multi-branch estimator; the changes are those of :func:`okdhp_model`."""
    return build(okdhp_model(name, codec, **changes))


def shake(model):
    """Fills every parameter and buffer with numbers that tell them apart; peaks are distinct."""
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.rand(value.shape, generator=generator)
        if name.endswith('running_var'):
            value.copy_(0.5 + noise)
        elif value.dim() > 1:
            value.copy_((noise - 0.5) * 4 / value[0].numel() ** 0.5)
        else:
            value.copy_(0.5 + noise if name.endswith('weight') else (noise - 0.5) * 0.2)
    return model


def batch(batch_size=2, input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, keypoints=NUM_KEYPOINTS):
    """Packed inputs as a data loader gives them; left and right are neighbors."""
    inputs = get_packed_inputs(
        batch_size,
        num_keypoints=keypoints,
        img_shape=input_size[::-1],
        input_size=input_size,
        heatmap_size=heatmap_size,
    )
    pairs = [i + 1 if i % 2 else i - 1 for i in range(keypoints)]
    flip_indices = [0] + [i if i < keypoints else keypoints - 1 for i in pairs[1:]]
    for sample in inputs['data_samples']:
        sample.set_metainfo(dict(flip_indices=flip_indices))
    return inputs


def run(model, mode, data=None):
    """The model on a batch, preprocessed and started as the runner does it."""
    if (
        mode == 'loss'
        and model.training
        and getattr(model, 'ema', None) is not None
        and not model.ema.started
    ):
        model.ema.start(model)
    data = model.data_preprocessor(copy.deepcopy(data or batch()), training=mode == 'loss')
    return model(**data, mode=mode)


def observe(distiller):
    """Return a list that gets the diagnosis of every step from now on."""
    reports = []
    distiller.observer = lambda *step: reports.append(diagnose(*step))
    return reports


def images(batch_size=2, size=INPUT_SIZE):
    return torch.randn(batch_size, 3, *size[::-1], generator=torch.Generator().manual_seed(2))


def paired_metainfo(count):
    """Return the metainfo of keypoints in pairs, the first and the last without a partner."""
    names = ['nose', *(f'{side}_{i}' for i in range(count // 2 - 1) for side in 'lr'), 'tail']
    swaps = [{'l': f'r{name[1:]}', 'r': f'l{name[1:]}'}.get(name[0], '') for name in names]
    swaps[0] = swaps[-1] = ''
    return dict(
        dataset_name='own',
        keypoint_info={
            i: dict(name=name, id=i, type='', swap=swap, color=[i, 0, 0])
            for i, (name, swap) in enumerate(zip(names, swaps, strict=True))
        },
        skeleton_info={},
        joint_weights=[1.0] * count,
        sigmas=[0.05] * count,
    )


def student_weights(model, branch):
    """The state-dict law, written out a second time: what a student gets of the whole."""
    prefixes = {
        'backbone.trunk.': 'backbone.',
        f'backbone.branches.{branch}.': 'backbone.',
        f'head.necks.{branch}.': 'neck.',
        f'head.branches.{branch}.': 'head.',
    }
    return {
        new + name[len(old) :]: value
        for name, value in model.state_dict().items()
        for old, new in prefixes.items()
        if name.startswith(old)
    }


def python(*arguments):
    """The command that runs this interpreter."""
    return [sys.executable, *map(str, arguments)]
