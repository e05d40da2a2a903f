"""Rules, confidences and the whole run of the benchmark of branches on video."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from dkd import write_blocks
from video_branches import confidence, routing
from video_branches.networks import hold_out
from video_branches.tracks import ENSEMBLE, LARGE, PEER, SMALL, Track, pck

FRAMES, KEYPOINTS = 20, 4
COSTS = dict(trunk=1.0, small=10.0, peer=100.0, large=1000.0)


def a_track(errors):
    """A track that stands still. `errors` (T, 4) shifts the pose of each output in box sizes."""
    true = np.broadcast_to(np.arange(KEYPOINTS)[:, None] * 10.0, (FRAMES, KEYPOINTS, 2))
    shift = np.zeros((FRAMES, 4, KEYPOINTS, 2))
    shift[..., 0] = 100 * np.asarray(errors)[..., None]
    return Track(
        poses=true[:, None] + shift,
        maxima=np.ones((FRAMES, 4, KEYPOINTS)),
        divergence=np.ones((FRAMES, 3, KEYPOINTS)),
        true=true,
        seen=np.ones((FRAMES, KEYPOINTS), bool),
        size=np.full(FRAMES, 100.0),
        disagreement=np.zeros((FRAMES, KEYPOINTS)),
        error=np.zeros((FRAMES, KEYPOINTS)),
    )


@pytest.fixture
def track():
    """Small students are wrong in frames 5 to 9, in different directions."""
    errors = np.zeros((FRAMES, 4))
    errors[5:10, SMALL], errors[5:10, PEER] = 0.3, -0.3
    return a_track(errors)


def test_the_large_student_is_called_where_small_ones_disagree(track):
    called = routing.calls(track, routing.small_disagree, 0.5)
    assert np.flatnonzero(called).tolist() == [0, 5, 6, 7, 8, 9]
    assert pck([track], [track.poses[:, SMALL]]) == pytest.approx(75)
    assert pck([track], [routing.in_between(track, called, 'small')]) == pytest.approx(100)
    threshold = routing.threshold_for([track], routing.small_disagree, 0.3)
    assert np.array_equal(routing.calls(track, routing.small_disagree, threshold), called)


def test_motion_since_the_last_call_is_what_calls(track):
    # The small student jumps in frame 5, and back in frame 10.
    called = routing.calls(track, routing.moved, 0.2)
    assert np.flatnonzero(called).tolist() == [0, 5, 10]


def test_poses_in_between(track):
    called = np.zeros(FRAMES, bool)
    called[[0, 7]] = True
    track.poses[7:, LARGE] += 1
    small, repeat = (routing.in_between(track, called, kind) for kind in ('small', 'repeat'))
    assert np.array_equal(small[7], track.poses[7, LARGE])
    assert np.array_equal(small[8], track.poses[8, SMALL])
    assert np.array_equal(repeat[8], track.poses[7, LARGE])
    assert np.array_equal(repeat[6], track.poses[0, LARGE])


@pytest.mark.parametrize('total', [3, 7, 30, 60])
def test_controls_have_as_many_calls(total):
    lengths = [20, 20, 20]
    for called in (
        routing.even_calls(lengths, total),
        routing.random_calls(lengths, total, np.random.default_rng(0)),
    ):
        assert [len(each) for each in called] == lengths
        assert np.concatenate(called).sum() == total
        assert all(each[0] for each in called)


def test_even_calls_have_equal_distances():
    (called,) = routing.even_calls([20], 4)
    assert np.flatnonzero(called).tolist() == [0, 5, 10, 15]


@pytest.mark.parametrize(
    ('rule', 'kind', 'expected'),
    [
        ('even', 'small', 1 + 0.75 * 10 + 0.25 * 1000),
        ('even', 'repeat', 0.25 * 1001),
        ('low_maximum', 'repeat', 1 + 10 + 0.25 * 1000),
        ('small_disagree', 'small', 1 + 10 + 100 + 0.25 * 1000),
    ],
)
def test_cost_counts_what_runs(rule, kind, expected):
    assert routing.cost(COSTS, rule, kind, 0.25) == pytest.approx(expected)


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, wrong = rng.integers(0, 5, 60), rng.random(60) < 0.3
    pairs = scores[wrong][:, None] - scores[~wrong]
    expected = 100 * ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert confidence.auroc(scores, wrong) == pytest.approx(expected)


def test_a_confidence_that_only_knows_the_keypoint_is_useless_within_keypoints():
    keypoint = np.repeat([0, 1], 50)
    wrong = np.random.default_rng(0).random(100) < np.where(keypoint, 0.8, 0.2)
    assert confidence.auroc(keypoint, wrong) > 70
    assert confidence.within_keypoints(keypoint, wrong, keypoint) == 50


def test_disagreement_finds_what_maxima_do_not(track):
    found = confidence.compare([track], [track], SMALL)
    assert found['distance']['auroc'] == found['combined']['auroc'] == 100
    assert found['maximum']['auroc'] == 50
    track.maxima[5:10, SMALL] = 0.1
    assert confidence.compare([track], [track], SMALL)['maximum']['auroc'] == 100
    assert confidence.disagreement(track)[5] == pytest.approx(np.full(KEYPOINTS, 0.2))
    assert not track.errors(ENSEMBLE).any()


def test_no_block_is_in_two_parts(data_root, tmp_path):
    if not (data_root / 'fly_pair').is_dir():
        pytest.skip(f'{data_root} has no fly_pair')
    write_blocks(data_root / 'fly_pair', tmp_path)
    hold_out(tmp_path)
    blocks = {}
    for name in ('train', 'select', 'test'):
        content = json.loads((tmp_path / f'{name}.json').read_text())
        blocks[name] = {image['vid_id'] for image in content['images']}
        assert len(content['annotations']) == 2 * len(content['images'])
    assert [len(each) for each in blocks.values()] == [24, 5, 9]
    assert len(set.union(*blocks.values())) == 38


@pytest.mark.slow
def test_whole_run(data_root, tmp_path, monkeypatch, capsys):
    if not (data_root / 'fly_pair').is_dir():
        pytest.skip(f'{data_root} has no fly_pair')
    script = Path(__file__).parents[2] / 'benchmarks' / 'video_branches' / '__main__.py'
    main = runpy.run_path(str(script))['main']
    options = f'--data {data_root / "fly_pair"} --out {tmp_path} --seeds 0'
    small = '--iterations 10 --clips 1 --pool 2'.split()
    monkeypatch.setattr(sys, 'argv', ['video_branches', *options.split(), *small])
    main()
    first = capsys.readouterr().out
    assert '| large | 20.9 |' in first
    assert '| small | even |' in first
    assert 'walking: 1 seeds, 240 poses' in first
    assert '| ensemble | combined |' in first
    monkeypatch.setattr(sys, 'argv', ['video_branches', '--out', str(tmp_path), '--report'])
    main()
    tables = capsys.readouterr().out
    assert tables and first.endswith(tables)
