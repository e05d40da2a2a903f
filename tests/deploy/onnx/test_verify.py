"""The comparison of a graph with PyTorch."""

import re
import shutil

import numpy as np
import pytest
import torch
from students import SIMCC, write_student

onnx = pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.onnx import export, verify  # noqa: E402
from okdhp_mm.deploy.onnx.decoders import HeatmapDecoder  # noqa: E402
from okdhp_mm.deploy.onnx.graph import build_onnx  # noqa: E402
from okdhp_mm.errors import UserError  # noqa: E402
from okdhp_mm.student.load import load_student  # noqa: E402

TOLERANCE = 0.05


def test_the_check_tells_the_differences(decoded, simcc):
    for _, found in (decoded, simcc):
        assert 0 < found.maps < 1e-4 * found.height
        assert found.max_distance < TOLERANCE
        assert found.ambiguous.mean() < 0.1
        assert found.scores <= found.maps
    assert str(decoded[1]).startswith('5 crops: maps differ by at most')
    assert decoded[1].keypoints.shape == (5, 17)


def test_the_check_finds_a_graph_of_other_weights(simcc, pictures):
    folder, _ = simcc
    student = load_student(folder)
    student.head.final_layer.weight.data += 0.1
    crops = verify.crops_of(student, str(pictures))
    found = verify.check_parity(student, (folder / 'student.onnx').read_bytes(), crops)
    assert found.maps > 1e-3
    assert found.keypoints.max() > 1
    assert not found.passed


def test_a_graph_whose_mistakes_look_like_ties_is_found(decoded, pictures):
    student = load_student(decoded[0])
    model, _ = build_onnx(student)
    crops = verify.crops_of(student, str(pictures))
    assert verify.check_parity(student, model.SerializeToString(), crops).passed
    weight = student.head.final_layer.weight.data
    weight *= 1 + 0.02 * torch.randn(weight.shape)
    found = verify.check_parity(student, model.SerializeToString(), crops)
    assert found.ambiguous.mean() > 0.5
    assert found.max_distance < TOLERANCE, 'nothing is left to compare'
    assert not found.passed


def test_a_decoder_with_other_scores_is_found(decoded, pictures, monkeypatch):
    decode = HeatmapDecoder.forward

    def doubled(self, maps):
        keypoints, scores = decode(self, maps)
        return keypoints, 2 * scores

    monkeypatch.setattr(HeatmapDecoder, 'forward', doubled)
    student = load_student(decoded[0])
    _, model = build_onnx(student, decode=True)
    crops = verify.crops_of(student, str(pictures))
    found = verify.check_parity(student, model.SerializeToString(), crops)
    assert found.max_distance < TOLERANCE
    assert not found.passed
    assert f', scores by {found.scores:.2g}' in str(found)


@pytest.mark.parametrize(
    ('change', 'passed'),
    [
        (dict(), True),
        (dict(maps=0.003), False),
        (dict(maps=np.nan), False),
        (dict(scores=0.003), False),
        (dict(scores=np.nan), False),
        (dict(keypoints=np.array([[0.06] + 9 * [0]])), False),
        (dict(keypoints=np.array([9 * [0] + [5]])), True),
        (dict(ambiguous=np.array([8 * [False] + 2 * [True]])), True),
    ],
    ids=str,
)
def test_a_report_passes_within_rounding_whatever_the_ties(change, passed):
    last = np.array([9 * [False] + [True]])
    exact = dict(crops=1, maps=1e-5, height=2.0, keypoints=np.zeros((1, 10)), ambiguous=last)
    assert verify.ParityReport(**dict(exact, scores=1e-5) | change).passed == passed


def test_the_graph_of_a_student_that_is_not_trained_is_written_and_its_ties_are_told(tmp_path):
    folder = write_student(tmp_path)
    state = torch.load(folder / 'student.pth', weights_only=True)
    # As after a few iterations: nearly the same everywhere, so that rounding decides.
    state['state_dict']['head.final_layer.weight'] *= 3e-8
    torch.save(state, folder / 'student.pth')
    said = str(export.export_onnx(folder))
    assert (folder / 'student.onnx').is_file()
    assert re.search(r', without \d+ ties of 272, so that this says little .*hardly trained', said)


def test_a_graph_that_differs_is_not_written(simcc, tmp_path, monkeypatch):
    folder = write_student(tmp_path, SIMCC)
    state = torch.load(folder / 'student.pth', weights_only=True)
    state['state_dict']['head.mlp_head_x.bias'][5] += 10
    torch.save(state, folder / 'student.pth')
    monkeypatch.setattr(
        export, 'build_onnx', lambda *_: (onnx.load(str(simcc[0] / 'student.onnx')),) * 2
    )
    with pytest.raises(AssertionError, match='the ONNX graph is not the student: 16 crops'):
        export.export_onnx(folder)
    assert not (folder / 'student.onnx').exists()


def test_keypoints_that_rounding_moves_are_ambiguous(decoded):
    student = load_student(decoded[0])
    maps = np.zeros((1, 17, 24, 16), np.float32)
    maps[:, :, 5, 5] = 1
    maps[:, :, 5, 7] = 0.5  # so that the quarter of a pixel is no tie
    maps[:, :, 4, 5] = maps[:, :, 5, 6] = 0.4
    maps[:, 3, 20, 10] = 1 - 1e-6
    keypoints, _ = verify.stock_poses(student, [maps])
    ambiguous = verify._ambiguous_keypoints(student, [maps], keypoints, 1e-5)
    assert ambiguous[0].nonzero()[0].tolist() == [3]


def test_a_folder_without_a_student_is_refused(tmp_path):
    with pytest.raises(UserError, match='has no student.py and no student.pth: name the folder'):
        export.export_onnx(tmp_path)


def test_a_folder_without_pictures_to_check_on_is_refused(decoded, tmp_path):
    student = load_student(decoded[0])
    with pytest.raises(UserError, match='is not a folder with pictures'):
        verify.crops_of(student, str(tmp_path))
    (tmp_path / 'a.jpg').write_text('not a picture')
    with pytest.raises(UserError, match=r'None of the 1 pictures can be read, e\.g\. .*a\.jpg'):
        verify.crops_of(student, str(tmp_path))


def test_pictures_that_cannot_be_read_are_left_out(decoded, pictures, tmp_path):
    student = load_student(decoded[0])
    folder = shutil.copytree(pictures, tmp_path / 'pictures')
    (folder / '0a.jpg').write_text('not a picture')
    whole = verify.crops_of(student, str(pictures))
    assert torch.equal(verify.crops_of(student, str(folder)), whole)
