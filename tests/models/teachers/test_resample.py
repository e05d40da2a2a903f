"""Maps of a teacher in the size of the student's."""

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from okdhp_mm.models.teachers.resample import resample, uses_udp

POINTS = np.array([[[20.0, 28.0], [44.0, 12.0], [8.0, 40.0]]])


def encoded(kind, side):
    codec = KEYPOINT_CODECS.build(
        dict(type=kind, input_size=(64, 64), heatmap_size=(side, side), sigma=side / 16)
    )
    maps = codec.encode(POINTS, np.ones((1, 3)))['heatmaps']
    return codec, torch.from_numpy(maps)[None]


@pytest.mark.parametrize('kind', ['MSRAHeatmap', 'UDPHeatmap'])
@pytest.mark.parametrize('side', [16, 64])
def test_resized_heatmaps_are_those_of_the_codec_of_that_size(kind, side):
    codec, maps = encoded(kind, 32)
    _, expected = encoded(kind, side)
    found = resample(maps, (side, side), (), (), uses_udp(codec))
    assert found.shape == expected.shape
    # Half a pixel of displacement would be 0.4 at the flanks of such a peak.
    assert (found - expected).abs().max() < 0.15


def test_maps_of_the_right_size_stay_as_they_are():
    maps = torch.rand(2, 3, 16, 16)
    assert resample(maps, (16, 16), (), (), False) is maps


def test_distributions_are_resized_one_by_one():
    maps = torch.zeros(1, 2, 1, 64 + 96)
    maps[..., 20], maps[..., 64 + 80] = 1, 1
    found = resample(maps, (1, 32 + 48), (64, 96), (32, 48), False)
    x, y = found.split((32, 48), -1)
    assert (x.argmax(-1) == 10).all()
    assert (y.argmax(-1) == 40).all()
