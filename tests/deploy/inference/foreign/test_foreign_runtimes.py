"""TFLite files: without their package, with something else in them, and BlazePose itself."""

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from okdhp_mm.deploy.inference.foreign.build import build_engine
from okdhp_mm.deploy.inference.foreign.runtimes import read_shape
from okdhp_mm.errors import UserError

MISSING = importlib.util.find_spec('ai_edge_litert') is None
MODEL = os.environ.get('OKDHP_BLAZEPOSE', '')


@pytest.mark.skipif(not MISSING, reason='ai-edge-litert is installed')
def test_a_missing_package_is_told(tmp_path):
    file = tmp_path / 'pose_landmark_lite.tflite'
    file.write_bytes(b'')
    with pytest.raises(UserError, match='needs ai-edge-litert.* pip install ai-edge-litert'):
        build_engine([str(file)])


@pytest.mark.skipif(MISSING, reason='needs pip install ai-edge-litert')
def test_a_broken_file_is_refused(tmp_path):
    file = tmp_path / 'pose_landmark_lite.tflite'
    file.write_bytes(b'nothing')
    with pytest.raises(UserError, match='is not a TFLite file that runs here'):
        build_engine([str(file)])


def test_an_unknown_tflite_file_needs_an_adapter(tmp_path):
    file = tmp_path / 'model.tflite'
    file.write_bytes(b'')
    with pytest.raises(UserError, match=r'does not say what .* Describe .*model\.json'):
        build_engine([str(file)])


def test_layouts_are_told_apart():
    assert read_shape(Path(), 1, [None, 3, 256, 192]) == (True, None, (192, 256))
    assert read_shape(Path(), 1, [1, 256, 192, 3]) == (False, 1, (192, 256))


@pytest.mark.parametrize('inputs, shape', [(2, [1, 3, 9, 9]), (1, [1, 9]), (1, [1, 1, 9, 9])])
def test_other_inputs_are_refused(inputs, shape):
    with pytest.raises(UserError, match='a pose model takes one batch of crops'):
        read_shape(Path('m.onnx'), inputs, shape)


@pytest.mark.skipif(
    MISSING or not MODEL, reason='needs ai-edge-litert, and OKDHP_BLAZEPOSE=pose_landmark_*.tflite'
)
def test_blazepose_turns_with_a_person(data_root):
    engine = build_engine([MODEL])
    image = cv2.imread(str(data_root / 'lspet' / 'images' / '00006.jpg'))
    height, width = image.shape[:2]
    (upright,) = engine(image, None)
    (turned,) = engine(cv2.rotate(image, cv2.ROTATE_180), None)
    points = np.array(upright['keypoints'])
    distance = points - ([width - 1, height - 1] - np.array(turned['keypoints']))
    assert engine.keypoint_names[11] == 'left_shoulder'
    assert np.median(np.abs(distance)) < 0.05 * max(image.shape)
