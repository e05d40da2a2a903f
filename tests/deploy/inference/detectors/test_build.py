"""Detectors by name: torchvision's, and how wrong names are refused."""

import urllib.request

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from okdhp_mm.deploy.inference.detectors import build_detector
from okdhp_mm.errors import UserError

SMALL = 'ssdlite320_mobilenet_v3_large'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp('weights') / 'ssd.pth'
    torch.manual_seed(0)
    state = get_model(SMALL, weights=None, weights_backbone=None).state_dict()
    for name, value in state.items():
        if 'classification_head' in name and name.endswith('1.bias') and not value.numel() % 91:
            value.view(-1, 91)[:, 1] += 5  # so that there are persons
    torch.save(state, file)
    return file


def test_a_detector_of_torchvision_runs_from_a_file(weights):
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    found = build_detector(f'torchvision:{SMALL}:{weights}', 'cpu', threshold=0)(image)
    model = get_model(SMALL, weights=None, weights_backbone=None).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    with torch.inference_mode():
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) / 255
        (expected,) = model([rgb])
    persons = expected['labels'] == 1
    assert persons.any()
    wide = (expected['boxes'][:, :2] + 1 <= expected['boxes'][:, 2:]).all(dim=1)
    assert len(found) == (persons & wide).sum()
    assert found[0, 4] == pytest.approx(expected['scores'][persons & wide][0].item())


def test_weights_of_something_else_are_refused(weights, tmp_path):
    for name, content in (('text', b'text'), ('empty', b'')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f'{name} is (empty|not a complete checkpoint)'):
            build_detector(f'torchvision:{SMALL}:{tmp_path / name}')
    torch.save(dict(a=torch.zeros(1)), tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'other\.pth does not hold the weights'):
        build_detector(f'torchvision:{SMALL}:{tmp_path}/other.pth')


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    for name in ('http_proxy', 'https_proxy'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')  # where nothing listens
    monkeypatch.delenv('no_proxy', raising=False)
    monkeypatch.setattr(urllib.request, '_opener', None)  # it remembers the proxies
    with pytest.raises(UserError, match=r'cannot be downloaded .*Get https.*torchvision:.*:FILE'):
        build_detector(f'torchvision:{SMALL}')


@pytest.mark.parametrize(
    'text, match',
    [
        ('torchvision:resnet18', "torchvision has no detector 'resnet18'. Use one of .*ssdlite"),
        ('yolo', '--detector yolo is not a detector: give FILE.onnx'),
        ('a.cfg', 'a.cfg is not a detector'),
        ('a.cfg:b.weights', 'a.cfg does not exist'),
        ('rtmdet:a.onnx', 'a.onnx does not exist'),
        ('a.onnx', 'a.onnx does not exist'),
        (f'torchvision:{SMALL}:a.pth', 'a.pth does not exist'),
    ],
)
def test_wrong_names_are_refused(text, match):
    with pytest.raises(UserError, match=match):
        build_detector(text)


def test_a_folder_has_to_be_of_one_detector(tmp_path):
    with pytest.raises(UserError, match='one .cfg and one .weights file; it has 0, 0 and 0'):
        build_detector(str(tmp_path))
    for name in ('a.onnx', 'b.onnx'):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match='it has 2, 0 and 0'):
        build_detector(str(tmp_path))
