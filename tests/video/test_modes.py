import numpy as np
import pytest
from test_tracker import noisy, person, scores, two_walkers
from tracking.detection_errors import HEAVY

from okdhp_mm.errors import UserError
from okdhp_mm.video.modes import MODES, build_tracker
from okdhp_mm.video.poseflow_released import extents, overlaps


def walk(tracker, frames, rate=10.0):
    for index, poses in enumerate(frames):
        keypoints = np.array(poses).reshape(-1, 17, 2)
        tracker.update(index / rate, keypoints, scores(keypoints))
    return [ids.tolist() for ids in tracker.finish()]


@pytest.mark.parametrize('mode', MODES)
def test_every_mode_follows_two_persons(mode):
    ids = walk(build_tracker(mode), two_walkers(25))
    assert ids == [[0, 1]] * 25


@pytest.mark.parametrize('mode', MODES)
def test_no_mode_gives_an_identity_twice(mode):
    tracker = build_tracker(mode)
    detections = noisy(two_walkers(60), HEAVY)
    for index, (keypoints, found) in enumerate(detections):
        tracker.update(index / 10, keypoints, found)
    for ids, (keypoints, _) in zip(tracker.finish(), detections, strict=True):
        assert len(ids) == len(keypoints)
        named = ids[ids >= 0].tolist()
        assert len(set(named)) == len(named)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('where', [(0,), (4, 5), (8,), range(9)], ids=str)
def test_every_mode_accepts_empty_frames(mode, where):
    frames = [[] if index in where else poses for index, poses in enumerate(two_walkers(9))]
    assert [len(ids) for ids in walk(build_tracker(mode), frames)] == list(map(len, frames))


@pytest.mark.parametrize('mode', MODES)
def test_every_mode_checks_the_time(mode):
    tracker = build_tracker(mode)
    tracker.update(0, [], [])
    with pytest.raises(ValueError, match='must be later'):
        tracker.update(0, [], [])


def test_the_suppression_of_flows_removes_duplicates():
    frames = [[person(3 * i), person(3 * i + 1)] for i in range(25)]
    for ids in walk(build_tracker('poseflow'), frames):
        assert sorted(ids) == [-1, 0]


def test_the_suppression_of_flows_links_over_a_gap():
    frames = [[person(2 * i)] for i in range(11)]
    frames[5] = []
    assert walk(build_tracker('poseflow'), frames) == [[0]] * 5 + [[]] + [[0]] * 5


def test_flows_follow_the_more_confident_pose():
    tracker = build_tracker('poseflow', window=0.2)
    keypoints = np.array([person(0), person(25)])
    tracker.update(0, keypoints[:1], scores(keypoints[:1]))
    tracker.update(0.1, keypoints, np.stack([np.full(17, 0.3), np.full(17, 0.9)]))
    assert [ids.tolist() for ids in tracker.finish()] == [[0], [-1, 0]]


def test_the_released_rule_forgets_after_a_number_of_frames():
    frames = [[person(0)], [], [], [person(0)]]
    assert walk(build_tracker('poseflow_released'), frames)[-1] == [0]
    assert walk(build_tracker('poseflow_released', memory_frames=2), frames)[-1] == [1]


def test_overlaps():
    boxes = extents(np.array([[[0, 0], [4, 2], [np.nan, np.nan]], [[2, 0], [6, 2], [3, 1]]]))
    assert boxes.tolist() == [[0, 0, 4, 2], [2, 0, 6, 2]]
    assert np.allclose(overlaps(boxes, boxes), [[1, 1 / 3], [1 / 3, 1]])
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0]]


def test_unknown_names_and_wrong_values_are_refused():
    with pytest.raises(UserError, match="mode='sort' does not exist. Use one of: online"):
        build_tracker('sort')
    with pytest.raises(UserError, match="has no setting 'speed'. It has: sigmas"):
        build_tracker('online', speed=1)
    with pytest.raises(UserError, match='memory=-1'):
        build_tracker(memory=-1)
    with pytest.raises(UserError, match='history=True'):
        build_tracker('poseflow', history=False)


@pytest.mark.parametrize(
    ('mode', 'setting', 'value'),
    [
        ('online', 'memory', 'long'),
        ('online', 'memory', None),
        ('poseflow', 'window', -1),
        ('poseflow', 'min_gain', float('nan')),
        ('poseflow_released', 'memory_frames', [3]),
    ],
)
def test_settings_must_be_numbers(mode, setting, value):
    with pytest.raises(UserError, match=f'{setting}=.* must be a number that is not negative'):
        build_tracker(mode, **{setting: value})
