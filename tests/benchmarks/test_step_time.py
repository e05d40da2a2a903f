"""The sides of the step's benchmark: each does what it is named after."""

import runpy
import sys
from pathlib import Path

import pytest
import step_time
import torch
from common import okdhp_model
from step_time import FLOOR, STEP, STUDENTS, sides_of
from students import HEADS, SIMCC

from okdhp_mm.recipes.methods import apply_method

ROOT = Path(__file__).parents[2]
ALL = [STEP, FLOOR, STUDENTS]


def model_of(side):
    return side.args[0]


def simcc_model():
    head = HEADS['SimCCLabel'](SIMCC) | dict(in_channels=64, in_featuremap_size=(2, 3))
    return okdhp_model('resnet', head=head)


@pytest.mark.parametrize(
    'model',
    [okdhp_model('hrnet'), okdhp_model('resnet'), simcc_model()],
    ids=['hrnet', 'resnet', 'simcc'],
)
def test_step_and_floor_train_the_same_branches(model):
    sides = sides_of(model, 2, ALL, [])
    assert list(sides) == ALL
    for side in ALL:
        model = model_of(sides[side])
        model.zero_grad()
        sides[side]()
        parts = (model.backbone, model.head.branches) if side == FLOOR else (model,)
        assert all(p.grad is not None for part in parts for p in part.parameters())
    assert model_of(sides[STEP]) is model_of(sides[FLOOR])


def test_the_students_side_runs_one_per_branch(monkeypatch):
    sides = sides_of(okdhp_model('resnet', branches=2), 2, ALL, [])
    calls = []
    model_of(sides[STUDENTS]).register_forward_hook(lambda *_: calls.append(1))
    sides[STUDENTS]()
    assert len(calls) == 2


@pytest.mark.parametrize('options', [['bf16'], ['channels_last'], ['bf16', 'channels_last']])
def test_an_option_is_measured_beside_the_plain_step(options):
    sides = sides_of(okdhp_model('resnet'), 2, ALL, options)
    plain, other = sides.values()
    assert list(sides) == [STEP, ', '.join(options)]
    dtypes = {}
    for side in (plain, other):
        conv = model_of(side).backbone.trunk.conv1
        conv.register_forward_hook(lambda _, i, out, side=side: dtypes.update({side: out.dtype}))
        side()
    assert dtypes[plain] == torch.float32
    assert dtypes[other] == (torch.bfloat16 if 'bf16' in options else torch.float32)
    weight = model_of(other).backbone.trunk.layer1[0].conv1.weight
    channels_last = weight.is_contiguous(memory_format=torch.channels_last)
    assert channels_last == ('channels_last' in options)
    assert model_of(plain).backbone.trunk.conv1.weight is not weight


def test_compile_wraps_a_copy(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda module: compiled.append(module))
    plain, other = sides_of(okdhp_model('resnet'), 2, ALL, ['compile']).values()
    assert compiled == [model_of(other)]
    assert model_of(plain) is not model_of(other)


def test_the_script_prints_every_number_of_branches(monkeypatch, capsys):
    config = str(ROOT / 'configs' / 'okdhp' / 'demo.py')
    arguments = '--batch-size 1 --repeats 2 --branches 2 3 --no-students'.split()
    monkeypatch.setattr(sys, 'argv', ['step_time.py', config, *arguments])
    runpy.run_path(step_time.__file__, run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    firsts = [line.split()[0] for line in lines if line.strip()]
    assert firsts[1:] == ['2', 'min', STEP, FLOOR, '3', 'min', STEP, FLOOR]


def test_a_method_with_an_ema_teacher_is_measured():
    model = okdhp_model('resnet')
    apply_method(model, 'pcl')
    step = sides_of(model, 2, [STEP], [])[STEP]
    step()
    assert model_of(step).ema.started
