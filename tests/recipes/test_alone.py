"""The student is trained alone, from the same start and with the same log."""

import pytest
from common import okdhp_model
from mmengine.config import Config

from okdhp_mm.recipes.alone import alone_config


@pytest.fixture
def cfg():
    cfg = Config(dict(model=okdhp_model('resnet')))
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    cfg.visualizer = dict(type='PoseLocalVisualizer', vis_backends=backends)
    return cfg


def test_it_logs_and_resumes_as_the_config_says(cfg):
    cfg.resume = True
    alone = alone_config(cfg, 'my_okdhp.py')
    assert alone.model.type == 'TopdownPoseEstimator'
    assert alone.visualizer == cfg.visualizer
    assert alone.resume is True


@pytest.mark.parametrize(('deployed', 'depth'), [(1, 34), (0, 18), ('ensemble', 18), (2, 18)])
def test_it_is_the_deployed_branch(cfg, deployed, depth):
    cfg.model.branches = [{}, dict(backbone=dict(depth=34))]
    cfg.model.test_cfg.branch = deployed
    assert alone_config(cfg, 'my_okdhp.py').model.backbone.depth == depth
