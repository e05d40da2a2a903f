"""The worked example of the documentation, as it stands there."""

import re
import sys
from pathlib import Path

import pytest
import torch
from common import build, okdhp_model, run
from mmengine.config import Config
from mmpose.registry import MODELS

from okdhp_mm.recipes.methods import all_imports, apply_method
from okdhp_mm.student.config import student_config

DOC = Path(__file__).parents[1] / 'docs' / 'methods.md'


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The files that a reader would write."""
    blocks = re.findall(r'```python\n# (\S+\.py)\n(.*?)```', DOC.read_text(), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield {name: tmp_path / name for name, _ in blocks}
    MODELS.module_dict.pop('MedianAggregator', None)
    sys.modules.pop('median', None)


def test_a_file_and_a_config_make_a_new_method(written):
    assert list(written) == ['median.py', 'median_method.py']
    config = okdhp_model()
    apply_method(config, str(written['median_method.py']))
    model = build(config).train()
    total, _ = model.parse_losses(run(model, 'loss'))
    total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    outputs = model.head.outputs(model.backbone(torch.randn(2, 3, 64, 64)))
    assert torch.equal(
        outputs.ensemble, torch.stack(tuple(outputs.final_heatmaps)).sort(0).values[1]
    )


def test_its_student_needs_none_of_it(written):
    config = okdhp_model()
    apply_method(config, str(written['median_method.py']))
    imports = ['okdhp_mm', 'median', 'json']
    cfg = Config(dict(model=config, custom_imports=dict(imports=imports)))
    assert all_imports(Config(), str(written['median_method.py'])) == ['okdhp_mm', 'median']
    assert student_config(cfg, 0).custom_imports.imports == ['json']
