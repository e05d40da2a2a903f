"""The sides of the validation's benchmark do the same work, and no more."""

import runpy
import sys
from functools import partial

import pytest
import torch
import validation_cost
from common import batch, make_model, shake
from mmengine.evaluator import Evaluator
from validation_cost import floor, validation


def metrics(model, data, meta):
    evaluator = Evaluator([dict(type='MultiOutputMetric', metric=dict(type='PCKAccuracy'))])
    evaluator.dataset_meta = meta
    validation(model, evaluator, data)
    return evaluator


def test_one_iteration_of_the_validation_loop_leaves_nothing_behind():
    model = shake(make_model('resnet', test_cfg=dict(flip_test=True))).eval()
    data = batch()
    evaluator = metrics(model, data, {})
    assert evaluator.metrics[0].results == []
    assert 'pred_outputs' not in data['data_samples'][0]  # the next round starts as this one
    metrics(model, data, {})


def test_the_floor_decodes_every_output_once(monkeypatch):
    for flip_test in (False, True):
        model = shake(make_model('resnet', test_cfg=dict(flip_test=flip_test))).eval()
        trunk, decoded = [], []
        model.backbone.register_forward_hook(partial(lambda seen, *_: seen.append(1), trunk))
        monkeypatch.setattr(model.head, 'decode', decoded.append)
        floor(model, torch.randn(2, 3, 64, 64))
        assert len(trunk) == 1 + flip_test
        assert len(decoded) == 4


@pytest.mark.slow
def test_the_script_compares_three_sides(config, mpii, monkeypatch, capsys):
    arguments = [str(config), '--data', str(mpii), *'--batch-size 2 --repeats 2'.split()]
    monkeypatch.setattr(sys, 'argv', ['validation_cost.py', *arguments])
    runpy.run_path(validation_cost.__file__, run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ['validation', 'floor', 'stock']
