"""Exported students."""

import cv2
import numpy as np
import pytest
from students import SIMCC, write_student

from okdhp_mm.datasets.synthetic import draw_figure
from okdhp_mm.deploy.onnx.export import export_onnx


@pytest.fixture(scope='session')
def pictures(tmp_path_factory):
    """A folder of drawn persons."""
    folder = tmp_path_factory.mktemp('pictures')
    for seed in range(5):
        image = draw_figure(np.random.default_rng(100 + seed)).image
        cv2.imwrite(str(folder / f'{seed}.png'), image)
    return folder


@pytest.fixture(scope='session')
def _onnx():
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name, reason="comes with pip install -e '.[onnx]'")


@pytest.fixture(scope='session')
def decoded(_onnx, tmp_path_factory, pictures):
    """A student with a graph that decodes, and how that was found to agree."""
    folder = write_student(tmp_path_factory.mktemp('decoded'))
    return folder, export_onnx(folder, decode=True, check_images=str(pictures))


@pytest.fixture(scope='session')
def simcc(_onnx, tmp_path_factory):
    """A SimCC student with a graph that does not decode, checked on drawn figures."""
    folder = write_student(tmp_path_factory.mktemp('simcc'), SIMCC)
    return folder, export_onnx(folder)
