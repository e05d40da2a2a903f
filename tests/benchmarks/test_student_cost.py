"""An exported student costs what the stock network costs."""

import pytest
import torch
from common import images
from mmengine.config import Config
from onnx_speed import student_of
from student_cost import COLUMNS, STOCK, STUDENT, compare, cost_row, networks, own_student


@pytest.mark.slow
def test_the_sides_are_two_networks_of_the_same_kind(config):
    sides = networks(Config.fromfile(config))
    student, stock = sides[STUDENT], sides[STOCK]
    assert type(student) is type(stock)
    assert not student.training and not stock.training
    shapes = [{n: v.shape for n, v in net.state_dict().items()} for net in sides.values()]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        inputs = images(1, (128, 128)).to(next(student.parameters()).device)
        outputs = [net(inputs, None, mode='tensor') for net in sides.values()]
    assert outputs[0].shape == outputs[1].shape
    assert not torch.equal(*outputs)  # each its own weights


def test_compare_prints_the_ratios(config, capsys):
    compare(str(config), repeats=2)
    assert 'parameters 1.000, FLOPs 1.000' in capsys.readouterr().out


def test_a_row_of_the_table_has_all_columns(config):
    row = cost_row('tiny', student_of(str(config)), repeats=2, onnx=False)
    assert len(row) == len(COLUMNS)
    assert row[:2] == ['`tiny`', '128x128']


@pytest.mark.slow
def test_an_own_student_has_the_narrow_head_and_the_input_size():
    student = own_student('shufflenetv2', (128, 64))
    assert tuple(student.head.decoder.input_size) == (128, 64)
    assert student.head.final_layer.in_channels == 64
