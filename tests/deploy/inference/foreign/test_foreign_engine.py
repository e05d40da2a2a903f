"""Models of other programs: exported students, described by an adapter as if we knew nothing."""

import json
import shutil

import cv2
import numpy as np
import pytest
from students import SIZE, write_student

from okdhp_mm.deploy.inference.engines import OnnxEngine, TorchEngine
from okdhp_mm.deploy.inference.foreign.build import build_engine
from okdhp_mm.deploy.inference.foreign.engine import ForeignEngine
from okdhp_mm.deploy.onnx.export import export_onnx
from okdhp_mm.errors import UserError

BOXES = [[5, 10, 80, 150], [20.5, 30, 100, 140], [0, 0, 60, 60]]


@pytest.fixture(scope='module')
def heatmaps(_onnx, tmp_path_factory):
    folder = write_student(tmp_path_factory.mktemp('heatmaps'))
    export_onnx(folder)
    return folder


def foreign(folder, target, output, **changes):
    """The graph of a student with an adapter next to it."""
    engine = TorchEngine(folder, 'cpu')
    entries = dict(keypoint_names=engine.keypoint_names, output=output, input_size=list(SIZE))
    entries['padding'] = 1.1  # as in the data pipeline of these students
    file = target / 'model.onnx'
    shutil.copyfile(folder / 'student.onnx', file)
    file.with_suffix('.json').write_text(json.dumps(entries | changes))
    return engine, file


def compare(found, expected, pixels):
    assert len(found) == len(expected) == len(BOXES)
    for one, other in zip(found, expected, strict=True):
        distance = np.subtract(one['keypoints'], other['keypoints'])
        assert np.abs(distance).max() < pixels
        assert one['keypoint_scores'] == pytest.approx(np.ravel(other['keypoint_scores']), abs=2e-3)
        assert np.ravel(one['bbox']) == pytest.approx(np.ravel(other['bbox']))


@pytest.mark.parametrize('output', ['heatmaps', 'simcc'])
def test_maps_are_decoded_to_the_keypoints_of_the_student(output, request, pictures, tmp_path):
    folder = request.getfixturevalue('heatmaps') if output == 'heatmaps' else (
        request.getfixturevalue('simcc')[0])  # fmt: skip
    engine, file = foreign(folder, tmp_path, output)
    own = build_engine([str(file)], 'cpu', batch=2)
    assert isinstance(own, ForeignEngine)
    image = cv2.imread(str(pictures / '0.png'))
    # The student averages two views and shifts one of them.
    engine.inferencer.model.test_cfg['flip_test'] = False
    engine.inferencer.model.head.test_cfg['flip_test'] = False
    compare(own(image, BOXES), engine(image, BOXES), 0.5)
    assert len(own(image, None)) == 1


def test_points_are_read_by_column(decoded, pictures, tmp_path):
    folder, _ = decoded
    _, file = foreign(folder, tmp_path, 'points', outputs=['keypoints'], columns=['x', 'y'])
    own, student = build_engine([str(file)]), OnnxEngine(folder, 'student.onnx')
    image = cv2.imread(str(pictures / '1.png'))
    found = own(image, BOXES)
    assert all(score == 1 for person in found for score in person['keypoint_scores'])
    for one, other in zip(found, student(image, BOXES), strict=True):
        assert np.abs(np.subtract(one['keypoints'], other['keypoints'])).max() < 0.5


@pytest.mark.parametrize(
    'changes, match',
    [
        (dict(input_size=[96, 64]), r'takes crops of \(64, 96\).*Correct the adapter'),
        (dict(keypoint_names=['a', 'b']), 'which is not `output`: "heatmaps" of 2 keypoints'),
        (dict(output='simcc'), 'the adapter needs 2 for simcc: output. Name them'),
        (dict(outputs=['maps']), 'has the outputs output, but the adapter needs 1'),
    ],
)
def test_an_adapter_of_another_model_is_refused(heatmaps, tmp_path, changes, match):
    _, file = foreign(heatmaps, tmp_path, **dict(output='heatmaps') | changes)
    with pytest.raises(UserError, match=match):
        build_engine([str(file)])


def test_an_adapter_can_have_another_name(heatmaps, tmp_path):
    _, file = foreign(heatmaps, tmp_path, 'heatmaps')
    other = file.with_suffix('.json').rename(tmp_path / 'other.json')
    assert build_engine([str(file), str(other)])


def test_a_student_needs_no_adapter(decoded, heatmaps):
    assert isinstance(build_engine([str(decoded[0])], 'cpu'), TorchEngine)
    assert isinstance(build_engine([str(decoded[0] / 'student.onnx')]), OnnxEngine)
    pair = [str(heatmaps / 'student.py'), str(heatmaps / 'student.pth')]
    assert build_engine(pair, 'cpu').keypoint_names[0] == 'nose'
    with pytest.raises(UserError, match='Describe a model of another program in .*student.json'):
        build_engine([str(heatmaps / 'student.onnx')])


@pytest.mark.parametrize(
    'files, match',
    [
        (['model.pt'], 'model.pt is not a pose model. Give a student'),
        (['nowhere.onnx'], 'nowhere.onnx does not exist'),
        (['a.py', 'b.pth', 'c'], 'is not a pose model'),
    ],
)
def test_something_else_is_refused(files, match):
    with pytest.raises(UserError, match=match):
        build_engine(files)
