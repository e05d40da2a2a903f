import numpy as np
import pytest
from players import clip
from tracking.smoothing import errors

from okdhp_mm.video.smooth import one_euro, savitzky_golay

TIMES = np.arange(40) / 20
SMOOTHERS = dict(one_euro=lambda t, x: one_euro(t, x, 100), savitzky_golay=savitzky_golay)


def still(noise):
    generator = np.random.default_rng(0)
    return 100 + noise * generator.standard_normal((40, 3, 2))


@pytest.mark.parametrize('smoother', SMOOTHERS)
def test_noise_of_a_still_person_gets_smaller(smoother):
    keypoints = still(1.0)
    smooth = SMOOTHERS[smoother](TIMES, keypoints)
    assert smooth[10:].std() < 0.7 * keypoints[10:].std()
    assert smooth is not keypoints


@pytest.mark.parametrize('smoother', SMOOTHERS)
def test_missing_keypoints_stay_missing_and_disturb_no_others(smoother):
    keypoints = still(1.0)
    expected = SMOOTHERS[smoother](TIMES, keypoints)
    keypoints[5:9, 1] = np.nan
    smooth = SMOOTHERS[smoother](TIMES, keypoints)
    assert np.array_equal(np.isnan(smooth), np.isnan(keypoints))
    assert np.array_equal(smooth[:, [0, 2]], expected[:, [0, 2]])


@pytest.mark.parametrize('smoother', SMOOTHERS)
@pytest.mark.parametrize('count', [0, 1, 2])
def test_short_tracks(smoother, count):
    keypoints = still(1.0)[:count]
    assert SMOOTHERS[smoother](TIMES[:count], keypoints).shape == keypoints.shape


def test_the_scale_does_not_matter():
    keypoints = still(1.0)
    assert np.allclose(10 * one_euro(TIMES, keypoints, 100), one_euro(TIMES, 10 * keypoints, 1000))


def test_polynomials_keep_a_straight_way():
    keypoints = np.linspace(0, 300, 40)[:, None, None] * np.ones((1, 3, 2))
    assert np.allclose(savitzky_golay(TIMES, keypoints), keypoints)


def test_polynomials_do_not_reach_over_a_gap():
    keypoints, times = still(1.0), TIMES.copy()
    times[20:] += 3
    smooth = savitzky_golay(times, keypoints)
    assert np.allclose(smooth[:20], savitzky_golay(TIMES[:20], keypoints[:20]))


def test_smoothing_helps_noisy_poses_and_harms_good_ones(data_root):
    clips = [clip(data_root, 'S4T4')]
    noisy, good = errors(clips, 0.05), errors(clips, 0.01)
    for smoother in SMOOTHERS:
        assert noisy[smoother] < noisy['raw']
        assert good[smoother] > good['raw']
