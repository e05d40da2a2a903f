"""The how-to of docs/video.md, as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmpose.registry import METRICS
from students import write_student
from test_metric import labels

ROOT = Path(__file__).parents[2]
DOC = (ROOT / 'docs' / 'video.md').read_text()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', DOC, re.DOTALL)


def test_the_python_example(tmp_path):
    exec(compile(blocks('python')[0], 'docs/video.md', 'exec'), {})  # noqa: S102


def test_the_config_example(tmp_path):
    text = re.sub(r"'data/posetrack18/\S+'", repr(str(labels(tmp_path))), blocks('python')[1])
    config = Config.fromstring(text, '.py')
    assert METRICS.build(config.test_evaluator).tracker['memory'] == 1.5


@pytest.mark.slow
def test_the_commands(tmp_path):
    """Without the detector, whose weights are not here; the student is not trained."""
    writer = cv2.VideoWriter(
        str(tmp_path / 'clip.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, (160, 120)
    )
    for index in range(6):
        frame = np.full((120, 160, 3), 80, np.uint8)
        cv2.ellipse(frame, (40 + 8 * index, 60), (12, 45), 0, 0, 360, (40, 90, 200), -1)
        writer.write(frame)
    writer.release()
    write_student(tmp_path / 'student')
    commands = [line for block in blocks('bash') for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        command = re.sub(r' --detector \S+', '', command).replace('tools/', f'{ROOT}/tools/')
        words = [sys.executable, *shlex.split(command)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    names = re.findall(r'^\| `(\S+)` \| ', DOC, re.MULTILINE)[:4]
    for name in names:
        assert (tmp_path / 'track_out' / name).stat().st_size, name
    assert (tmp_path / 'again' / 'clip_json.json').exists()
    frames = json.loads((tmp_path / 'live/predictions/clip.json').read_text())['instance_info']
    assert [len(frame['instances']) for frame in frames] == [1] * 6
