"""The commands of docs/how-to/people_and_video.md, with a tiny detector and without a window."""

import json
import runpy
import shlex
import shutil
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_darknet import write_tiny

ROOT = Path(__file__).parents[4]
PAGE = ROOT / 'docs' / 'how-to' / 'people_and_video.md'
SIZE, FRAMES = (480, 240), 60


@pytest.fixture
def folder(decoded, tmp_path, monkeypatch):
    """A working folder with what the commands name; white squares are persons."""
    shutil.copytree(decoded[0], tmp_path / 'student')
    (tmp_path / 'detector' / 'mlmodels').mkdir(parents=True)
    write_tiny(tmp_path / 'detector' / 'mlmodels')
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    image[100:120, 100:120] = image[100:120, 340:360] = 255
    (tmp_path / 'photos').mkdir()
    cv2.imwrite(str(tmp_path / 'photos' / 'two.png'), image)
    code = cv2.VideoWriter_fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(tmp_path / 'clip.mp4'), code, 10, SIZE)
    for index in range(FRAMES):
        writer.write(np.roll(image, index, 1))
    writer.release()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands():
    lines = [line.strip() for line in PAGE.read_text().splitlines()]
    return [line for line in lines if line.startswith('python tools/infer.py')]


def run(command, monkeypatch):
    _, script, *words = shlex.split(command)
    monkeypatch.setattr('sys.argv', [script, *words])
    runpy.run_path(str(ROOT / script), run_name='__main__')


def test_the_commands_give_persons_and_identities(folder, monkeypatch, capsys):
    photos, video, camera = commands()
    assert camera.split()[2] == '0' and camera.split()[3:8] == video.split()[3:8]
    run(photos, monkeypatch)
    found = json.loads((folder / 'infer_out/predictions/two.json').read_text())
    assert len(found['instance_info']) >= 2
    capsys.readouterr()
    run(video, monkeypatch)
    printed = capsys.readouterr().out
    assert 'frames per second, with reading and writing' in printed
    document = json.loads((folder / 'clip_out/predictions/clip.json').read_text())
    frames = document['instance_info']
    assert len(frames) == FRAMES
    named = {person['track_id'] for frame in frames[5:] for person in frame['instances']}
    assert len(named - {-1}) == 2
    columns = (folder / 'clip_out/poses.csv').read_text().splitlines()[0].split(',')
    assert 'track_id' in columns
    for row in PAGE.read_text().split('|---|---|')[1].splitlines():
        if '`' in row and '--coco' not in row:
            assert list((folder / 'clip_out').glob(row.split('`')[1].replace('NAME', '*')))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(folder, monkeypatch):
    tracemalloc.start()
    run(commands()[1], monkeypatch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < FRAMES / 3 * np.prod(SIZE) * 3
