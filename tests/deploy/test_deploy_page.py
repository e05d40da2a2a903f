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

import cv2
import numpy as np
import pytest
from common import python

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


def test_the_web_service_answers(workplace, pictures):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    code = program('service.py', port=('8000', str(port)))
    assert len(code.splitlines()) <= 25
    (workplace / 'service.py').write_text(code)
    service = subprocess.Popen(python('service.py'), cwd=workplace, stderr=subprocess.PIPE)
    url = f'http://127.0.0.1:{port}'
    try:
        for _ in range(300):
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        with urllib.request.urlopen(url, (pictures / '0.png').read_bytes(), 60) as answer:
            pose = json.load(answer)
        assert len(pose) == 17
        assert len(pose['left_wrist']) == 3
        for content in (b'text', b''):
            with pytest.raises(urllib.error.HTTPError, match='400'):
                urllib.request.urlopen(url, content, 60)
    finally:
        service.kill()
        service.communicate()


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
