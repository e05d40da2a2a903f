"""The curves of a training are read as they were logged."""

import json

import pytest

from okdhp_mm.evaluation.run_log import read_run_log


def write(folder, stamp, *lines, end='\n'):
    file = folder / stamp / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(
        '\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    with open(file, 'a') as opened:
        opened.write(end)


def train(step, loss):
    return dict(loss=loss, lr=0.1, time=0.2, epoch=1, iter=step, step=step)


def test_training_validation_and_diagnoses_are_told_apart(tmp_path):
    write(
        tmp_path,
        '1',
        train(2, 0.5) | {'kd/grad_ratio': 0.1},
        {'kd/schedule': 1.0, 'kd/grad_ratio_branch0': 0.2, 'step': 2},
        {'coco/AP': 0.3, 'branch1/coco/AP': 0.2, 'ensemble/coco/AP': 0.4, 'time': 1.0, 'step': 1},
    )
    log = read_run_log(tmp_path)
    assert log.training == {
        'loss': {2: 0.5},
        'lr': {2: 0.1},
        'kd/grad_ratio': {2: 0.1},
        'kd/schedule': {2: 1.0},
        'kd/grad_ratio_branch0': {2: 0.2},
    }
    assert list(log.validation) == ['coco/AP', 'branch1/coco/AP', 'ensemble/coco/AP']
    assert log.by_output('coco/AP', 'branch0') == {
        'branch0': {1: 0.3},
        'branch1': {1: 0.2},
        'ensemble': {1: 0.4},
    }


def test_a_metric_is_not_taken_for_another_that_ends_alike(tmp_path):
    write(tmp_path, '1', {'AP': 0.3, 'coco/AP': 0.2, 'branch1/AP': 0.1, 'step': 1})
    assert read_run_log(tmp_path).by_output('AP', 'branch0') == {
        'branch0': {1: 0.3},
        'branch1': {1: 0.1},
    }


def test_a_resumed_training_goes_on_where_its_checkpoint_was(tmp_path):
    write(tmp_path, '1', train(2, 0.5), train(4, 0.4), {'PCK': 0.1, 'step': 1}, train(6, 0.9))
    write(tmp_path, '2', train(6, 0.3), {'PCK': 0.2, 'step': 2})
    log = read_run_log(tmp_path)
    assert log.training['loss'] == {2: 0.5, 4: 0.4, 6: 0.3}
    assert log.validation == {'PCK': {1: 0.1, 2: 0.2}}


def test_a_training_that_began_anew_replaces_the_earlier_one(tmp_path):
    write(tmp_path, '1', train(2, 0.5), train(4, 0.4), {'PCK': 0.1, 'step': 1})
    write(tmp_path, '2', train(2, 0.3))
    log = read_run_log(tmp_path)
    assert log.training['loss'] == {2: 0.3}
    assert log.validation == {}


@pytest.mark.parametrize('wrong', ['{"loss": 0.1, "st', '[1, 2]', '{"loss": 3}', '', '\x00'])
def test_a_line_that_is_cut_off_is_left_out(tmp_path, wrong):
    write(tmp_path, '1', train(2, 0.5), wrong, end='')
    assert read_run_log(tmp_path).training['loss'] == {2: 0.5}


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    write(tmp_path, '1', train(2, float('nan')), train(4, float('inf')), train(6, 0.5))
    assert read_run_log(tmp_path).training['loss'] == {6: 0.5}


def test_a_folder_without_logs_has_no_curves(tmp_path):
    log = read_run_log(tmp_path)
    assert log.training == {} and log.validation == {}
