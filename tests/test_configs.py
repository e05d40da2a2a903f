"""Every config builds and takes a step, at a size that a CPU bears."""

from pathlib import Path

import pytest
from common import batch, build, run, shake
from mmengine.config import Config
from mmpose.registry import HOOKS, METRICS

from okdhp_mm.cli import drop_pretrained
from okdhp_mm.export import stock_model as stock_of
from okdhp_mm.models import OKDHPTopdownPoseEstimator

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
    codec.input_size, codec.heatmap_size, codec.sigma = (64, 64), (16, 16), 1.0
    if model.backbone.type == 'HRNet':
        for index in range(1, 5):
            stage = model.backbone.extra[f'stage{index}']
            stage.num_modules = 1
            stage.num_blocks = (1,) * len(stage.num_channels)
            stage.num_channels = tuple(8 * 2**i for i in range(len(stage.num_channels)))
        model.head.in_channels = 8
    else:
        model.head.deconv_out_channels = (16, 16, 16)
    return model


def test_there_are_the_promised_configs():
    names = {file.stem for file in CONFIGS}
    assert {'hrnet_w32_coco', 'hrnet_w32_mpii', 'resnet18_mpii', 'demo'} <= names


def test_it_builds_and_a_step_gives_every_trainable_parameter_a_gradient(file):
    config = shrunk(file)
    model = build(config)
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
    for key in ('val_evaluator', 'test_evaluator'):
        assert cfg[key].type == 'EveryOutputMetric'
        assert METRICS.get(cfg[key].metric.type).__module__.startswith('mmpose.')
    best = cfg.default_hooks.checkpoint.save_best
    assert best in ('coco/AP', 'PCK'), 'a name of the deployed output'
