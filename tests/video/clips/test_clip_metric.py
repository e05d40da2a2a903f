"""A stock metric over whole tracks."""

import numpy as np
import pytest
from common import build  # noqa: F401  (registers)
from mmengine.structures import InstanceData
from mmpose.evaluation.metrics import EPE
from mmpose.structures import PoseDataSample

from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipMetric
from okdhp_mm.video.clips.structures import Clip


def clip_of(errors):
    """A predicted clip with one keypoint that is off by so many pixels in each frame."""
    samples = []
    for error in errors:
        sample = PoseDataSample()
        visible = np.ones((1, 1))
        sample.gt_instances = InstanceData(
            keypoints=np.zeros((1, 1, 2), np.float32), keypoints_visible=visible
        )
        sample.pred_instances = InstanceData(keypoints=np.array([[[error, 0.0]]], np.float32))
        samples.append(sample)
    return Clip((), samples)


def test_every_frame_counts_once():
    metric = ClipMetric(dict(type='EPE'))
    clips = [clip_of([1, 2, 3]), clip_of([4])]
    metric.process(None, clips)
    assert len(metric.results) == 2, 'one entry per track, as many as the dataset has samples'
    stock = EPE()
    stock.process(None, [s.to_dict() for clip in clips for s in clip.data_samples])
    assert metric.evaluate(2) == stock.evaluate(4) == {'EPE': 2.5}


def test_entries_that_fill_the_last_batch_are_dropped():
    metric = ClipMetric(dict(type='EPE'))
    metric.process(None, [clip_of([1, 1]), clip_of([2, 2]), clip_of([100, 100])])
    assert metric.evaluate(2) == {'EPE': 1.5}


def test_a_range_of_frames():
    metric = ClipMetric(dict(type='EPE'), frames=(1, 3), prefix='late')
    metric.process(None, [clip_of([1, 2, 3, 9]), clip_of([4])])
    assert metric.evaluate(2) == {'late/EPE': 2.5}


def test_tracks_that_are_too_short():
    metric = ClipMetric(dict(type='EPE'), frames=(10, 20))
    metric.process(None, [clip_of([1])])
    with pytest.raises(UserError, match='No track has frames 10 to 20'):
        metric.evaluate(1)


@pytest.mark.parametrize('frames', [(3, 3), (-1, 2), (5,)])
def test_wrong_ranges_are_refused(frames):
    with pytest.raises(UserError, match='must be'):
        ClipMetric(dict(type='EPE'), frames=frames)


def test_single_images_are_refused():
    with pytest.raises(UserError, match='the model predicts single images'):
        ClipMetric(dict(type='EPE')).process(None, [dict()])
