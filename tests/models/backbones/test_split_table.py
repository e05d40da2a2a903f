"""The pages about split points tell what the code does."""

import re
from pathlib import Path

import pytest
import torch
from common import build, images, shake

from okdhp_mm.models.backbones import BranchedBackbone
from okdhp_mm.models.backbones.splits.table import split_groups, split_page
from okdhp_mm.registry import SPLITS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def groups():
    return split_groups()


def test_every_family_is_told_of(groups):
    # The page lists the optional VisionTransformer without building it.
    names = {family.name for family in SPLITS.module_dict.values()} - {'VisionTransformer'}
    assert {name for name, _ in groups} == names


def test_the_page_is_fresh(groups):
    assert (ROOT / 'docs' / 'splits.md').read_text() == split_page(groups), (
        'stale: python -m okdhp_mm.models.backbones.splits.table > docs/splits.md'
    )


def test_the_example_of_a_new_family_works(monkeypatch):
    """The one in CONTRIBUTING.md, as it stands there."""
    section = (ROOT / 'CONTRIBUTING.md').read_text().partition('## How to add a split')[2]
    code = re.search(r'```python\n(.*?)```', section, re.DOTALL)[1]
    names = {'__package__': 'okdhp_mm.models.backbones.splits', '__name__': 'example'}
    monkeypatch.setattr(SPLITS, '_module_dict', dict(SPLITS.module_dict))
    exec(code, names)
    config = dict(type='RegNet', arch='regnetx_400mf')
    stock = shake(build(config))
    stock.eval()  # which returns nothing in mmpose
    backbone = BranchedBackbone([config, config], 'layer2').eval()
    for part in (backbone.trunk, *backbone.branches):
        part.load_state_dict(
            {name: value for name, value in stock.state_dict().items() if name in part.state_dict()}
        )
    with torch.no_grad():
        for features in backbone(images()).branches.values():
            assert all(map(torch.equal, features, stock(images())))
