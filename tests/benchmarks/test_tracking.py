import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from tracking import others
from tracking.detection_errors import HEAVY, LIGHT, detect
from tracking.mmpose_rules import MmposeRule
from tracking.players import box_clips, pose_clips

from okdhp_mm.video.tracker import PoseTracker, corners

FOLDER = Path(__file__).parents[2] / 'benchmarks' / 'tracking'


@pytest.fixture(scope='module')
def benchmark():
    return runpy.run_path(str(FOLDER / '__main__.py'))


@pytest.fixture(scope='module')
def clips(data_root):
    if not (data_root / 'players3x3').is_dir():
        pytest.skip(f'{data_root} has no players3x3')
    return pose_clips(data_root / 'players3x3')


def test_the_drawn_errors_depend_on_the_seed_alone(clips):
    poses = clips['S6T3'][0]
    one, same, other = (detect(poses, HEAVY, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0])


def test_the_errors_have_their_rates(clips):
    generator = np.random.default_rng(0)
    poses = clips['S4T7']
    counts = [len(detect(frame, LIGHT, generator)[0]) for frame in poses]
    assert 5 < np.mean(counts) < 6
    assert max(counts) == 6
    assert max(len(detect(frame, HEAVY, generator)[0]) for frame in poses) > 6


def test_mmposes_rule_changes_identities_far_more_often(benchmark, clips):
    pytest.importorskip('trackeval', reason='comes with pip install --no-deps trackeval')
    clips = {name: clips[name] for name in ('S4T7', 'S6T5')}
    sequences = benchmark['pose_sequences'](clips, HEAVY, 1, 0)
    stock, ours = (
        benchmark['measure'](name, sequences, None) for name in ('mmpose, IoU', 'online (default)')
    )
    assert stock['IDSW'] > 20 * max(ours['IDSW'], 1)
    assert ours['HOTA'] > 79 > stock['HOTA']
    assert benchmark['row']('x', [ours, ours]).startswith(f'| x | {ours["IDSW"]:.0f} (')


@pytest.mark.parametrize('oks', [False, True])
def test_mmposes_rule_continues_the_nearest_pose(oks):
    rule = MmposeRule(oks)
    poses = np.array([[[0, 0], [50, 100]], [[300, 0], [350, 100]]], float)
    assert rule.update(0, poses, np.ones((2, 2))).tolist() == [0, 1]
    assert rule.update(1, poses[::-1] + 5, np.ones((2, 2))).tolist() == [1, 0]
    assert rule.update(2, poses[:0], np.ones((0, 2))).tolist() == []
    assert rule.update(3, poses[:1], np.ones((1, 2))).tolist() == [2]


def test_real_boxes_can_be_tracked(data_root):
    file = data_root / 'players3x3_boxes' / 'boxes.npz'
    if not file.exists():
        pytest.skip(f'{file} does not exist')
    truth, found = box_clips(file)['basket_S1T1_pre']
    assert len(truth) == len(found) == 168
    tracker = PoseTracker(history=True)
    for index, (boxes, _) in enumerate(found):
        tracker.update(index / 20, corners(boxes), np.full((len(boxes), 2), 0.9))
    # Six players and the persons around them. Few get a second identity.
    assert max(ids.max(initial=-1) for ids in tracker.finish()) < 25


def test_other_trackers_are_asked_in_their_own_interpreter(tmp_path, monkeypatch):
    """The file format, with a tracker that numbers the poses of each frame."""

    class Counting:
        def __init__(self, name, rate):
            assert rate == 5

        def update(self, keypoints, scores):
            return np.arange(len(keypoints))

    monkeypatch.setattr(others, 'Boxes', Counting)
    files = [str(tmp_path / name) for name in ('in.npz', 'out.npz')]
    parts = dict(keypoints=np.zeros((3, 2, 2)), scores=np.ones((3, 2)), counts=[1, 0, 2], rate=5)
    np.savez(files[0], **{f'0/{name}': value for name, value in parts.items()})
    monkeypatch.setattr(sys, 'argv', ['others.py', 'ocsort', *files])
    others.main()
    assert np.load(files[1])['0/ids'].tolist() == [0, 0, 1]
