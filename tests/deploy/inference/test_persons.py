"""Boxes around persons: given, detected, or from the last poses."""

import numpy as np
import pytest

from okdhp_mm.deploy.inference.persons import PersonBoxes
from okdhp_mm.deploy.inference.sources import Frame

IMAGE = np.zeros((100, 200, 3), np.uint8)
BOX = [10.0, 10.0, 50.0, 90.0]


class Counting:
    """Finds one person, and counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, image):
        self.asked += 1
        return np.array([[*BOX, 0.8]], np.float32)


def frame(number=None):
    return Frame('a.mp4', 'a.mp4', IMAGE, number)


def person(points, scores, box=BOX, score=0.8):
    return dict(keypoints=points, keypoint_scores=scores, bbox=[box], bbox_score=score)


def test_given_boxes_come_first():
    detector = Counting()
    boxes = PersonBoxes({'a.mp4': [BOX]}, detector, 1, 0.3)
    assert boxes.find(frame()).boxes == [BOX]
    assert detector.asked == 0
    assert PersonBoxes({'a.mp4': []}, detector, 1, 0.3).find(frame()).boxes == []
    assert PersonBoxes({}, None, 1, 0.3).find(frame()).boxes is None


def test_a_detector_looks_at_every_picture_and_every_nth_frame():
    detector = Counting()
    boxes = PersonBoxes({}, detector, 3, 0.3)
    origins = []
    for number in range(7):
        found = boxes.find(frame(number))
        origins.append(found.origin)
        boxes.last = [person([[20, 20]] * 3, [0] * 3, box) for box in found.boxes]
        assert found.scores == pytest.approx([0.8])
    assert detector.asked == 3
    assert origins == ['detector', 'last poses', 'last poses'] * 2 + ['detector']
    for _ in range(2):
        assert boxes.find(frame()).origin == 'detector'


def test_boxes_follow_the_poses():
    boxes = PersonBoxes({}, Counting(), 2, 0.3)
    boxes.last = [person([[100, 40], [120, 60], [110, 50], [0, 0]], [0.9, 0.9, 0.9, 0.1])]
    (box,) = boxes.find(frame(1)).boxes
    assert box == pytest.approx([98, 38, 122, 62])


def test_a_person_without_certain_keypoints_stays_and_twins_become_one():
    boxes = PersonBoxes({}, Counting(), 2, 0.3)
    pose = [[100, 40], [140, 80], [110, 50]]
    boxes.last = [
        person(pose, [0.1] * 3),
        person(pose, [0.9] * 3),
        person(np.add(pose, 1), [0.9] * 3, score=0.5),
        person([[300, 40], [340, 80], [310, 50]], [0.9] * 3),
    ]
    found = boxes.find(frame(1))
    assert found.boxes[0] == BOX
    assert found.boxes[1] == pytest.approx([96, 36, 144, 84])
    assert len(found.boxes) == 2, 'the last one has left the picture'
