"""The programs in docs/deploy.md run as they are printed, next to nothing but the graph."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from common import python
from graphs import write_graph

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(decoded, tmp_path):
    shutil.copy(decoded[0] / 'student.onnx', tmp_path)
    shutil.copy(ROOT / 'okdhp_mm' / 'deploy' / 'onnx_pose.py', tmp_path)
    return tmp_path


def program(name, **changes):
    """Return a program of the page, with some words changed."""
    text = (ROOT / 'docs' / 'deploy.md').read_text()
    code = re.search(rf'<!-- {re.escape(name)} -->\n```python\n(.*?)```', text, re.S)[1]
    for old, new in changes.values():
        assert old in code
        code = code.replace(old, new)
    return code


@pytest.fixture
def service(workplace):
    """Return a function that starts the service and returns its URL."""
    started = []

    def start(*arguments):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        code = program('service.py', port=('8000', str(port)))
        assert len(code.splitlines()) <= 35
        (workplace / 'service.py').write_text(code)
        command = python('service.py', *arguments)
        started.append(subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE))
        for _ in range(600):
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                return f'http://127.0.0.1:{port}'
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(started[-1].stderr)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(url, content):
    """Return the answer to a picture."""
    with urllib.request.urlopen(url, content, 60) as answer:
        return json.load(answer)


def test_the_web_service_answers(service, pictures):
    url, content = service(), (pictures / '0.png').read_bytes()
    (pose,) = ask(url, content)
    assert len(pose) == 17
    assert len(pose['left_wrist']) == 3
    height, width = cv2.imread(str(pictures / '0.png')).shape[:2]
    boxes = [[0, 0, width, height], [0, 0, width / 2, height / 2]]
    whole, half = ask(f'{url}/?boxes={quote(json.dumps(boxes))}', content)
    assert whole == pose != half
    assert ask(f'{url}/?boxes=[]', content) == []
    for body, query in (
        *((b'text', ''), (b'', '')),
        *((content, '?boxes=[[1,2]]'), (content, '?boxes=a'), (content, '?boxes=5')),
    ):
        with pytest.raises(urllib.error.HTTPError, match='400'):
            ask(f'{url}/{query}', body)
    assert ask(url, content) == [pose], 'a bad request does not end the service'


@pytest.mark.slow
def test_the_web_service_finds_several_people(service, pictures, tmp_path):
    boxes = np.array([[[0, 0, 24, 32, 0.9], [8, 8, 40, 60, 0.8]]], np.float32)
    labels = np.zeros((1, 2), np.int64)
    detector = write_graph(tmp_path / 'rtmdet.onnx', dets=boxes, labels=labels)
    url = service(detector)
    assert len(ask(url, (pictures / '0.png').read_bytes())) == 2
    with pytest.raises(urllib.error.HTTPError, match='400'):
        ask(url, b'text')


def test_the_camera_loop_runs(workplace, pictures):
    image = cv2.imread(str(pictures / '0.png'))
    code = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(workplace / 'clip.avi'), code, 10, image.shape[1::-1])
    for shade in np.linspace(1, 0.5, 3):
        writer.write((image * shade).astype(np.uint8))
    writer.release()
    text = program('camera.py', camera=('VideoCapture(0)', "VideoCapture('clip.avi')"))
    (workplace / 'camera.py').write_text(text)
    done = subprocess.run(python('camera.py'), cwd=workplace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert re.search(r'nose: -?\d+ -?\d+  ', lines[0])
