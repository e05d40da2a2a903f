"""A third-party teacher, as docs/tutorials/own_teacher.md shows it."""

import re
import sys
from pathlib import Path

import pytest
import torch
from common import build, images, okdhp_model, run, shake, stock_model
from mmengine.config import Config
from mmpose.registry import MODELS

from okdhp_mm.compare.plan import method_config
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student.config import student_config

DOC = Path(__file__).parents[1] / 'docs' / 'tutorials' / 'own_teacher.md'
METHOD = 'several_teachers_method.py'


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """The two networks of the page, next to the files that a reader would write."""
    for name, text in re.findall(r'```python\n# (\S+\.py)\n(.*?)```', DOC.read_text(), re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    made = []
    for scale, name in enumerate(('first', 'second'), 1):
        made.append(shake(build(stock_model('resnet'))).eval())
        with torch.no_grad():
            made[-1].head.final_layer.weight.mul_(scale)
        Config(dict(model=stock_model('resnet'))).dump(f'{name}.py')
        torch.save(dict(state_dict=made[-1].state_dict(), meta={}), f'{name}.pth')
    yield made
    sys.modules.pop('several_teachers', None)


def test_the_mean_of_its_networks_teaches(networks):
    config = okdhp_model('resnet')
    apply_method(config, METHOD)
    model = build(config)
    model.init_weights()
    inputs = images()
    expected = [network(inputs, None, mode='tensor') for network in networks]
    assert not torch.equal(*expected)
    torch.testing.assert_close(model.teacher(inputs, []), torch.stack(expected).mean(0))
    losses = run(model.train(), 'loss')
    assert losses['loss_kd'] > 0
    model.parse_losses(losses)[0].backward()
    trained = [name for name, p in model.named_parameters() if p.grad is not None]
    assert trained and not any(name.startswith('teacher.') for name in trained)


def test_no_checkpoint_and_no_student_has_it(networks):
    config = okdhp_model('resnet')
    apply_method(config, METHOD)
    model = build(config)
    model.init_weights()
    state = model.state_dict()
    assert not any(name.startswith('teacher') for name in state)
    model.load_state_dict(state, strict=True)
    imports = ['okdhp_mm', 'several_teachers']
    cfg = Config(dict(model=config, custom_imports=dict(imports=imports)))
    assert 'custom_imports' not in student_config(cfg, 0)


def test_compare_takes_it_although_it_has_no_checkpoint_of_its_own(networks):
    cfg = Config(dict(model=okdhp_model('resnet')))
    assert method_config(cfg, METHOD).model.teacher.type == 'SeveralTeachers'
