"""Accuracy of a graph on test data."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from students import SIZE, write_student

from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.deploy.onnx.accuracy_drop import AccuracyDrop, measure_drop, metric
from okdhp_mm.student.load import load_student


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A student whose test data are there: drawn figures."""
    root = tmp_path_factory.mktemp('data')
    write_coco(root, 'val', 6, seed=0)
    student = load_student(write_student(tmp_path_factory.mktemp('student')))
    student.cfg.test_dataloader.dataset.data_root = f'{root}/'
    student.cfg.test_dataloader.batch_size = 4
    student.cfg.test_evaluator.ann_file = f'{root}/annotations/person_keypoints_val2017.json'
    return student


class Truth:
    """Knows the places of all keypoints, and is asked for one batch after the other."""

    def __init__(self, student, shift=0.0):
        dataset = Runner.build_dataloader(student.cfg.test_dataloader).dataset
        self.samples = iter([sample['data_samples'] for sample in dataset])
        self.shift = shift

    def poses(self, crops):
        places = np.concatenate([self.places(next(self.samples)) for _ in crops])
        return places, np.ones(places.shape[:2])

    def places(self, sample):
        corner = sample.input_center - sample.input_scale / 2
        places = (sample.gt_instances.keypoints - corner) / sample.input_scale * SIZE
        return places + self.shift


def test_the_truth_gets_full_marks_and_what_is_far_away_none(student):
    assert metric(student, Truth(student))['coco/AP'] == pytest.approx(1)
    assert metric(student, Truth(student, shift=30.0))['coco/AP'] == 0


def test_two_graphs_are_compared_by_the_metric(student, decoded):
    graph = (decoded[0] / 'student.onnx').read_bytes()
    found = measure_drop(student, graph, graph, torch.randn(2, 3, *SIZE[::-1]))
    assert not found.moved.any()
    assert found.scores['coco/AP'][0] == found.scores['coco/AP'][1]


def test_a_loss_in_words():
    moved = np.array([[0.0, 1.0, 2.0]])
    assert str(AccuracyDrop(moved, {'PCK': (33.981, 33.9943)})) == (
        'PCK 33.98 -> 33.99, without flip test; on 1 crops half of the keypoints move by at most '
        '1 px, 95 % by at most 1.9 px'
    )
