"""Decoders in the graph against the stock codecs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, SimCCLabel, UDPHeatmap
from students import SIZE

from okdhp_mm.deploy.onnx.decoders import graph_decoder
from okdhp_mm.errors import UserError

TOLERANCE = 0.05
HEATMAP = (24, 32)
INPUT = (96, 128)


def random_maps(codec):
    return torch.rand(2, 17, *codec.heatmap_size[::-1]) - 0.3


def smooth_maps(codec):
    maps = F.avg_pool2d(random_maps(codec), 5, 1, 2)
    return maps - maps.mean()


def true_maps(codec):
    keypoints = np.random.default_rng(0).uniform(-0.05, 1.05, (2, 1, 17, 2)) * INPUT
    heatmaps = [codec.encode(k.astype(np.float32))['heatmaps'] for k in keypoints]
    return torch.from_numpy(np.stack(heatmaps)) + 0.01 * random_maps(codec)


CODECS = {
    'msra': MSRAHeatmap(INPUT, HEATMAP, sigma=2),
    'dark': MSRAHeatmap(INPUT, HEATMAP, sigma=2, unbiased=True),
    'udp': UDPHeatmap(INPUT, HEATMAP, sigma=2),
    'udp, wide blur': UDPHeatmap(INPUT, HEATMAP, sigma=3, blur_kernel_size=17),
}


def assert_decoded(codec, maps, keypoints, scores):
    for m in range(len(maps)):
        expected, expected_scores = codec.decode(maps[m].numpy().copy())
        # In noise some parabolas are so flat that their top lies far outside, wherever rounding
        # puts it.
        near = abs(expected[0]).max(-1) < 2 * max(INPUT)
        assert near.any()
        assert np.linalg.norm(keypoints[m] - expected[0], axis=-1)[near].max() < TOLERANCE
        assert np.array_equal(scores[m], expected_scores[0])


@pytest.mark.parametrize('make', [random_maps, smooth_maps, true_maps])
@pytest.mark.parametrize('codec', CODECS.values(), ids=CODECS)
def test_heatmaps_are_decoded_as_the_stock_codec_does(codec, make):
    maps = make(codec)
    assert_decoded(codec, maps, *(output.numpy() for output in graph_decoder(codec)(maps)))


@pytest.mark.slow
@pytest.mark.parametrize('codec', [CODECS['dark'], CODECS['udp']], ids=['dark', 'udp'])
def test_decoders_are_the_same_in_onnxruntime(codec):
    onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
    pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")
    maps = true_maps(codec)
    program = torch.onnx.export(graph_decoder(codec), (maps,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    assert_decoded(codec, maps, *session.run(None, {name: maps.numpy()}))


def test_simcc_is_decoded_as_the_stock_codec_does():
    codec = SimCCLabel(SIZE, simcc_split_ratio=2.0)
    x, y = torch.rand(2, 17, 128) - 0.1, torch.rand(2, 17, 192) - 0.1
    x[0, 0] = -1  # not seen
    keypoints, scores = graph_decoder(codec)(x, y)
    expected, expected_scores = codec.decode(x.numpy(), y.numpy())
    assert np.array_equal(keypoints.numpy(), expected)
    assert np.array_equal(scores.numpy(), expected_scores)


@pytest.mark.parametrize(
    'codec',
    [
        MegviiHeatmap(INPUT, HEATMAP, kernel_size=5),
        UDPHeatmap(INPUT, HEATMAP, heatmap_type='combined'),
        SimCCLabel(SIZE, use_dark=True),
    ],
    ids=['megvii', 'combined', 'simcc with dark'],
)
def test_what_cannot_be_decoded_in_the_graph_is_refused(codec):
    with pytest.raises(UserError, match=f'The codec {type(codec).__name__} .* Leave --decode out'):
        graph_decoder(codec)
