"""Every config builds and takes a step, at a size that a CPU bears."""

from pathlib import Path

import pytest
from common import batch, build, run, shake
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmpose.registry import HOOKS, METRICS

from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.models import OKDHPTopdownPoseEstimator
from okdhp_mm.student.config import stock_model as stock_of

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs' / 'okdhp').glob('*.py'))


@pytest.fixture(params=CONFIGS, ids=lambda file: file.stem)
def file(request):
    return request.param


def shrunk(file):
    """The config's model on images of 64 pixels, with the same topology but narrow."""
    model = Config.fromfile(file).model
    drop_pretrained(model)
    codec = model.head.decoder
    codec.update(input_size=(64, 64), sigma=1.0)
    if codec.type == 'SimCCLabel':
        model.head.update(input_size=(64, 64), in_featuremap_size=(2, 2))
        if model.backbone.type == 'CSPNeXt':
            model.backbone.widen_factor = 0.125
            model.head.in_channels = 128
        return model
    codec.heatmap_size = (16, 16)
    if model.backbone.type == 'HRNet':
        for index in range(1, 5):
            stage = model.backbone.extra[f'stage{index}']
            stage.num_modules = 1
            stage.num_blocks = (1,) * len(stage.num_channels)
            stage.num_channels = tuple(8 * 2**i for i in range(len(stage.num_channels)))
        model.head.in_channels = 8
    elif model.backbone.type == 'StackedHourglass':
        model.backbone.update(feat_channels=16, depth=2)
    else:
        model.head.deconv_out_channels = (16, 16, 16)
    return model


def test_there_are_the_promised_configs():
    names = {file.stem for file in CONFIGS}
    assert {'hrnet_w32_coco', 'hrnet_w32_mpii', 'demo'} <= names
    for backbone in ('resnet18', 'mobilenetv2', 'shufflenetv2', 'hourglass4'):
        assert {f'{backbone}_mpii', f'{backbone}_coco'} <= names
    assert {'rtmpose_s_coco', 'simcc_resnet18_mpii'} <= names
    assert {'hourglass2_mpii', 'hourglass8_mpii', 'hourglass4_mpii_official'} <= names


@pytest.mark.parametrize('name', ['hourglass2_mpii', 'hourglass4_coco', 'hourglass8_mpii'])
def test_hourglasses_are_trained_as_the_authors_do(name):
    cfg = Config.fromfile(ROOT / 'configs' / 'okdhp' / f'{name}.py')
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 16
    assert (cfg.optim_wrapper.optimizer.type, cfg.optim_wrapper.optimizer.lr) == ('Adam', 2.5e-4)
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.milestones, schedule.gamma) == ('MultiStepLR', [90, 120], 0.1)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert 'RandomHalfBody' not in steps
    assert steps['RandomFlip'].get('prob', 0.5) == 0.5
    box = steps['RandomBBoxTransform']
    assert (box.scale_factor, box.rotate_factor, box.shift_prob) == ((0.75, 1.25), 60, 0)
    assert cfg.model.test_cfg.flip_test
    assert cfg.model.test_cfg.shift_heatmap
    assert 'init_cfg' not in cfg.model.backbone
    width, height = cfg.model.head.decoder.input_size
    assert (width, height) == ((192, 256) if 'coco' in name else (256, 256))
    half = cfg.model.backbone.num_stacks // 2
    assert cfg.model.split == f'stack{half}'
    assert cfg.model.head.num_stages == cfg.model.backbone.num_stacks


def test_it_builds_and_a_step_gives_every_trainable_parameter_a_gradient(file):
    config = shrunk(file)
    model = revert_sync_batchnorm(build(config))
    assert isinstance(model, OKDHPTopdownPoseEstimator)
    assert len(model.head.branches) == 3
    model.init_weights()
    data = batch(keypoints=config.head.out_channels)
    model.train()
    losses = run(model, 'loss', data)
    assert {'loss_kpt', 'loss_ens', 'loss_kd'} <= losses.keys()
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    shake(model).eval()
    sample = run(model, 'predict', data)[0]
    assert sample.pred_instances.keypoints.shape == (1, config.head.out_channels, 2)


def test_the_full_size_network_is_the_stock_one(file):
    """Built, not run: the shapes of the config itself fit one another."""
    config = Config.fromfile(file).model
    student = stock_of(config)
    stock = build(student)
    assert type(stock).__name__ == 'TopdownPoseEstimator'
    assert stock.head.out_channels in (16, 17)
    width, height = stock.head.decoder.input_size
    if stock.head.decoder.__class__.__name__ == 'SimCCLabel':
        assert stock.head.in_featuremap_size == (width // 32, height // 32)
    else:
        assert tuple(stock.head.decoder.heatmap_size) == (width // 4, height // 4)


def test_the_pipeline_encodes_what_the_head_decodes(file):
    cfg = Config.fromfile(file)
    decoder = cfg.model.head.decoder
    for loader in ('train', 'val', 'test'):
        pipeline = cfg[f'{loader}_dataloader'].dataset.pipeline
        affine = next(step for step in pipeline if step.type == 'TopdownAffine')
        assert affine.input_size == decoder.input_size
        encoders = [step.encoder for step in pipeline if step.type == 'GenerateTarget']
        assert all(encoder == decoder for encoder in encoders)
        assert len(encoders) == (loader == 'train')


def test_it_reports_progress_and_every_output(file):
    cfg = Config.fromfile(file)
    assert HOOKS.get(cfg.default_hooks.distill.type).__name__ == 'DistillProgressHook'
    assert HOOKS.get(cfg.default_hooks.report.type).__name__ == 'DistillReportHook'
    backends = [backend.type for backend in cfg.visualizer.vis_backends]
    assert backends == ['LocalVisBackend', 'TensorboardVisBackend']
    for key in ('val_evaluator', 'test_evaluator'):
        assert cfg[key].type == 'MultiOutputMetric'
        assert METRICS.get(cfg[key].metric.type).__module__.startswith('mmpose.')
    best = cfg.default_hooks.checkpoint.save_best
    assert best in ('coco/AP', 'PCK'), 'a name of the deployed output'
