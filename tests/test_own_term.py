"""A third-party loss term, as docs/tutorials/own_term.md shows it."""

import re
import sys
from pathlib import Path

import pytest
from common import build, okdhp_model, run
from mmpose.registry import MODELS

from okdhp_mm.recipes.methods import apply_method

DOC = Path(__file__).parents[1] / 'docs' / 'tutorials' / 'own_term.md'


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The files that a reader would write."""
    blocks = re.findall(r'```python\n# (\S+\.py)\n(.*?)```', DOC.read_text(), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    yield {name: tmp_path / name for name, _ in blocks}
    sys.modules.pop('better_teacher', None)


def test_the_check_of_the_page_passes(written, capsys):
    exec(compile(written['check_better_teacher.py'].read_text(), 'check', 'exec'), {})
    assert capsys.readouterr().out == 'ok\n'


def test_the_method_of_the_page_trains(written):
    config = okdhp_model()
    apply_method(config, str(written['better_teacher_method.py']))
    model = build(config).train()
    losses = run(model, 'loss')
    assert losses['loss_better'] > 0
    model.parse_losses(losses)[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
