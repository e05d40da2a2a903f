"""RTMDet and YOLOX as ONNX files."""

import numpy as np
import pytest
import torch
from graphs import DETS, LABELS, write_graph
from mmdet.models.dense_heads import YOLOXHead
from mmengine.registry import DefaultScope

pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.inference.detectors import build_detector  # noqa: E402
from okdhp_mm.deploy.inference.detectors.onnx import letterboxed, raw_yolox  # noqa: E402
from okdhp_mm.errors import UserError  # noqa: E402


@pytest.mark.parametrize('named', ['rtmdet.onnx', 'rtmdet:end2end.onnx', 'yolox:end2end.onnx'])
def test_boxes_after_suppression_are_read(tmp_path, named):
    kind, _, name = named.rpartition(':')
    file = write_graph(tmp_path / name, dets=DETS, labels=LABELS)
    found = build_detector(f'{kind}:{file}' if kind else str(file))(np.zeros((32, 48, 3), np.uint8))
    # The picture is half as large as the input.
    assert found == pytest.approx(np.array([[24, 8, 48, 32, 0.9], [0, 0, 12, 16, 0.4]]))


def test_raw_outputs_of_yolox_are_decoded_as_by_mmdet():
    height, width = 64, 96
    rng = np.random.default_rng(0)
    cells = sum((height // step) * (width // step) for step in (8, 16, 32))
    output = rng.normal(size=(cells, 7)).astype(np.float32)
    output[:, 4:] = 0.01
    output[:, 5] = 0.5
    chosen = [3, 100, 125]
    output[chosen, 4] = 0.9, 0.8, 0.7
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = YOLOXHead(num_classes=2, in_channels=8, strides=(8, 16, 32))
    sizes = [(height // step, width // step) for step in (8, 16, 32)]
    priors = torch.cat(head.prior_generator.grid_priors(sizes, device='cpu', with_stride=True))
    expected = head._bbox_decode(priors, torch.from_numpy(output[None, :, :4]))[0].numpy()
    boxes, scores = raw_yolox(output, height, width)
    assert boxes[:3] == pytest.approx(expected[chosen], abs=1e-3)
    assert scores[:3] == pytest.approx([0.45, 0.4, 0.35])


def test_raw_yolox_runs_from_a_file(tmp_path):
    output = np.zeros((1, 126, 6), np.float32)
    output[0, 96 + 7, :] = 0.5, 0.5, np.log(2), np.log(3), 0.9, 1  # stride 16, row 1, column 1
    file = write_graph(tmp_path / 'yolox_nano.onnx', output=output)
    found = build_detector(str(file))(np.zeros((64, 96, 3), np.uint8))
    assert found == pytest.approx(np.array([[8, 0, 40, 48, 0.9]]), abs=1e-4)


def test_pictures_keep_their_shape_in_the_input():
    padded = letterboxed(np.full((20, 40, 3), 7, np.uint8), 80, 80, 2)
    assert (padded[:40] == 7).all()
    assert (padded[40:] == 114).all()


def test_wrong_graphs_are_refused(tmp_path):
    def refused(match, text):
        with pytest.raises(UserError, match=match):
            build_detector(text)

    file = write_graph(tmp_path / 'model.onnx', dets=DETS, labels=LABELS)
    refused('does not say which detector it is: give rtmdet:.*model.onnx or yolox:', str(file))
    maps = write_graph(tmp_path / 'yolox_maps.onnx', output=np.zeros((1, 3, 8, 8), np.float32))
    refused(r'yolox_maps\.onnx gives \(1, 3, 8, 8\): export RTMDet or YOLOX', str(maps))
    for content in (b'', b'text', file.read_bytes()[:100]):
        (tmp_path / 'rtmdet.onnx').write_bytes(content)
        refused(r'rtmdet\.onnx is not a complete graph', f'{tmp_path}/rtmdet.onnx')
    tensor = b'\x0a\x08location' + b'weights.bin'
    (tmp_path / 'rtmdet.onnx').write_bytes(file.read_bytes() + tensor)
    refused(r'rtmdet\.onnx keeps weights in other files', f'{tmp_path}/rtmdet.onnx')
    flat = write_graph(tmp_path / 'rtmdet.onnx', (1, 3), dets=DETS, labels=LABELS)
    refused(r'takes an input of shape \[1, 3\], not a batch of images', str(flat))
