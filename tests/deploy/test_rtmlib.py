"""A SimCC student in rtmlib."""

import sys
from pathlib import Path

import pytest
from students import SIMCC, write_student

pytest.importorskip('rtmlib', reason='comes with pip install rtmlib')
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.inference.images import image_files  # noqa: E402
from okdhp_mm.deploy.onnx.export import export_onnx  # noqa: E402
from okdhp_mm.errors import UserError  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from rtmlib_agreement import distances  # noqa: E402


def test_it_agrees_with_mmpose(tmp_path, pictures):
    folder = write_student(tmp_path, SIMCC)
    config = folder / 'student.py'
    config.write_text(config.read_text().replace('padding=1.1', 'padding=1.25'))
    export_onnx(folder)
    role, found = distances(folder, image_files(pictures))
    assert role == 'RTMPose'
    assert found.shape == (5, 17)
    assert found.max() < 1e-3


def test_a_student_of_other_crops_is_refused(simcc, pictures):
    with pytest.raises(UserError, match=r'padded by 1\.1; rtmlib always takes 1\.25'):
        distances(simcc[0], image_files(pictures))


def test_a_graph_that_decodes_is_refused(decoded, pictures):
    with pytest.raises(UserError, match='gives keypoints, scores: export it without --decode'):
        distances(decoded[0], image_files(pictures))
