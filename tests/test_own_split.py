"""A third-party backbone with its own forward, as docs/tutorials/own_split.md shows it."""

import re
import sys
from pathlib import Path

import pytest
import torch
from common import build, head, images, okdhp_model, run, shake, student_weights
from mmengine.config import Config
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.models.backbones import BranchedBackbone
from okdhp_mm.models.backbones.splits import ResNetSplit, find_family, split_points
from okdhp_mm.registry import SPLITS
from okdhp_mm.student.config import student_config
from okdhp_mm.student.state import check_equal

DOC = Path(__file__).parents[1] / 'docs' / 'tutorials' / 'own_split.md'
POINTS = ['stem', 'layer1', 'layer2', 'layer3']
BACKBONE = dict(type='GatedResNet', depth=18, base_channels=8, stem_channels=8)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Import the files that a reader would write, with the config's ``custom_imports``."""
    for name, text in re.findall(r'```python\n# (\S+\.py)\n(.*?)```', DOC.read_text(), re.S):
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(SPLITS, '_module_dict', dict(SPLITS.module_dict))
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    yield Config.fromfile(tmp_path / 'gated_resnet_config.py')
    sys.modules.pop('gated_resnet', None)


def test_its_family_is_found_by_the_forward(written):
    backbone = build(BACKBONE)
    assert find_family(backbone).name == 'GatedResNet'
    assert split_points(backbone) == POINTS
    assert type(find_family(build(BACKBONE | dict(type='ResNet')))) is ResNetSplit


def test_without_a_family_it_cannot_be_split(written):
    SPLITS.module_dict.pop('GatedResNetSplit')
    with pytest.raises(UserError, match='GatedResNet has no split points'):
        BranchedBackbone([BACKBONE] * 2, 'layer2')


@pytest.mark.parametrize('point', POINTS)
@torch.no_grad()
def test_a_branch_is_the_backbone_bit_for_bit(written, point):
    stock = shake(build(BACKBONE))
    stock.eval()  # returns None in mmpose
    backbone = BranchedBackbone([BACKBONE] * 2, point).eval()
    for part in (backbone.trunk, *backbone.branches):
        own = part.state_dict().keys()
        part.load_state_dict({name: v for name, v in stock.state_dict().items() if name in own})
    for features in backbone(images()).branches.values():
        assert all(map(torch.equal, features, stock(images())))


def test_the_config_of_the_page_trains_and_exports_it(written):
    cfg = written
    assert cfg.model.split == 'layer2'
    cfg.model = okdhp_model('resnet', backbone=BACKBONE, split=cfg.model.split, head=head(64))
    model = shake(build(cfg.model)).train()
    model.parse_losses(run(model, 'loss'))[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    student = student_config(cfg, 1)
    assert student.custom_imports.imports == ['gated_resnet']
    network = build(student.model)
    network.load_state_dict(student_weights(model, 1), strict=True)
    check_equal(model, network, 1)


def test_the_check_of_the_page_passes(written, tmp_path, capsys):
    exec(compile((tmp_path / 'check_gated_resnet.py').read_text(), 'check', 'exec'), {})
    assert capsys.readouterr().out.splitlines() == [str(POINTS), 'ok']
