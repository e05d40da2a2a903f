import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from students import write_student
from test_formats import ours, results, written

from okdhp_mm.deploy.inference.run import infer
from okdhp_mm.errors import UserError
from okdhp_mm.video.draw import color_of
from okdhp_mm.video.formats import read_poses
from okdhp_mm.video.run import track
from okdhp_mm.video.track import LiveIdentities, draw_video, track_video

ROOT = Path(__file__).parents[2]


class Corners:
    """Finds the corners of every box."""

    keypoint_names, skeleton = ['low', 'high'], [[0, 1]]

    def __call__(self, image, boxes):
        return [
            dict(
                keypoints=[[x1, y1], [x2, y2]],
                keypoint_scores=np.float32([0.9, 0.8]),
                bbox=[[x1, y1, x2, y2]],
                bbox_score=1.0,
            )
            for x1, y1, x2, y2 in boxes
        ]


class Walkers:
    """Finds two persons. One walks to the right."""

    def __init__(self):
        self.frame = 0

    def __call__(self, image):
        x = 3 * self.frame
        self.frame += 1
        return np.array([[90, 10, 110, 60, 0.9], [x, 20, x + 20, 70, 0.8]], np.float32)


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """Eight gray frames."""
    file = tmp_path_factory.mktemp('film') / 'film.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (160, 120))
    for _ in range(8):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    return file


def run_tool(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    except SystemExit as ended:
        return ended.code
    return 0


def frames_of(file):
    video, frames = cv2.VideoCapture(str(file)), []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames


def test_identities_while_poses_are_found(film, tmp_path):
    identities = LiveIdentities(Corners.skeleton, 0.3)
    infer(film, Corners(), tmp_path, detector=Walkers(), csv=True, coco=True, identities=identities)
    frames = json.loads((tmp_path / 'predictions/film.json').read_text())['instance_info']
    ids = [[person['track_id'] for person in frame['instances']] for frame in frames]
    assert ids == [[-1, -1]] + [[1, 0]] * 7
    rows = (tmp_path / 'poses.csv').read_text().splitlines()
    assert rows[0].startswith('source,frame,time,person,track_id,x1')
    assert rows[-1].startswith('film.avi,7,0.7,1,0,21.0,')
    results = json.loads((tmp_path / 'coco_results.json').read_text())
    assert [entry['track_id'] for entry in results] == [-1, -1] + [1, 0] * 7
    # The trail of the walker shows where its middle was.
    before, after = (frames_of(tmp_path / 'visualizations/film.mp4')[i] for i in (1, 7))
    distance = np.abs(after[45, 15:25].astype(int) - color_of(0)).sum(-1).min()
    assert distance < np.abs(before[45, 30:40].astype(int) - color_of(0)).sum(-1).min() / 2


def test_pictures_are_not_tracked(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UserError, match='is not a video, so persons in it cannot be tracked'):
        infer(tmp_path, Corners(), tmp_path / 'out', identities=LiveIdentities([], 0.3))


def test_the_number_of_frames_stays(film, tmp_path):
    video = read_poses(written(tmp_path, ours()))
    track_video(video)
    assert draw_video(film, video, tmp_path / 'out.mp4') == 8
    drawn = frames_of(tmp_path / 'out.mp4')
    assert len(drawn) == 8
    assert drawn[3].std() > drawn[7].std(), 'there are poses for six frames'
    with pytest.raises(UserError, match='cannot be read'):
        draw_video(tmp_path / 'absent.mp4', video, tmp_path / 'other.mp4')


def test_colors_of_neighbors_differ():
    colors = np.array([color_of(i) for i in range(8)])
    distances = np.abs(colors[:, None] - colors).sum(-1)
    assert distances[~np.eye(8, dtype=bool)].min() > 60


def test_the_tool_on_a_file(monkeypatch, capsys, film, tmp_path):
    file, out = written(tmp_path, ours()), tmp_path / 'out'
    code = run_tool(monkeypatch, 'track.py', file, '--out', out, '--video', film, '--format',
                    'json', 'coco', 'posetrack', 'csv', '--smooth', 'savitzky_golay',
                    '--settings', 'memory=2')  # fmt: skip
    assert code == 0
    text = capsys.readouterr().out
    assert '2 identities for 12 poses in 6 frames' in text
    assert 'smoothing moved the keypoints by' in text
    names = ['poses_coco.json', 'poses_csv.csv', 'poses_json.json', 'poses_posetrack.json']
    assert sorted(f.name for f in out.iterdir()) == [*names, 'poses_tracks.mp4']


def test_the_tool_tells_what_is_wrong(monkeypatch, tmp_path, film):
    file = written(tmp_path, ours())
    code = run_tool(monkeypatch, 'track.py', film, '--out', tmp_path / 'out')
    assert 'name a student: --student FOLDER' in code
    code = run_tool(monkeypatch, 'track.py', file, '--out', tmp_path, '--settings', 'speed=1')
    assert "error: mode='online' has no setting 'speed'" in code
    assert not (tmp_path / 'out').exists()


def test_files_are_overwritten_with_force_only(film, tmp_path):
    file, out = written(tmp_path, ours()), tmp_path / 'out'
    track(file, out, film=film, formats=['csv'])
    before = (out / 'poses_csv.csv').read_text()
    for formats, existing in ((['csv'], 'poses_csv.csv'), (['json'], 'poses_tracks.mp4')):
        with pytest.raises(UserError, match=f'{existing} exists.* overwrite it by --force'):
            track(file, out, film=film, formats=formats)
    assert {each.name for each in out.iterdir()} == {'poses_csv.csv', 'poses_tracks.mp4'}
    track(file, out, film=film, formats=['csv'], rate=5, force=True)
    assert (out / 'poses_csv.csv').read_text() != before
    with pytest.raises(UserError, match='is read and would be replaced'):
        track(file, out, film=out / 'poses_tracks.mp4', force=True)


def test_poses_before_tracking_are_not_overwritten(film, tmp_path):
    (tmp_path / 'predictions').mkdir()
    (tmp_path / 'predictions' / 'film.json').write_text('precious')
    with pytest.raises(UserError, match='film.json exists'):
        track(film, tmp_path, Corners())


def test_persons_are_found_and_tracked(film, tmp_path):
    done = track(film, tmp_path, Corners(), detector=Walkers(), formats=['posetrack'])
    assert (done.identities, done.poses, done.frames) == (2, 16, 8)
    assert [file.name for file in done.files] == ['film_posetrack.json', 'film_tracks.mp4']
    assert done.notes == ['16 poses found in 8 frames.']
    assert done.complete


def test_the_video_gives_the_frame_rate_that_the_file_lacks(film, tmp_path):
    file = written(tmp_path, results())
    track(file, tmp_path / 'out', film=film)
    assert read_poses(tmp_path / 'out' / 'poses_json.json').frames[1].time == 0.1
    drawn = cv2.VideoCapture(str(tmp_path / 'out' / 'poses_tracks.mp4'))
    assert drawn.get(cv2.CAP_PROP_FPS) == 10


@pytest.mark.parametrize(
    ('name', 'engine', 'message'),
    [
        ('absent.mp4', Corners(), 'absent.mp4 is not a file. For a camera or a URL'),
        ('poses.json', Corners(), 'already has poses'),
        ('a.png', Corners(), 'neither a .json file with poses nor a video'),
        ('text.mp4', Corners(), 'text.mp4 cannot be read'),
        ('empty.mp4', Corners(), 'empty.mp4 cannot be read'),
        ('text.json', None, 'is not complete JSON'),
        ('film.avi', None, '--student FOLDER'),
    ],
)
def test_sources_that_cannot_be_tracked(tmp_path, name, engine, message):
    for each in ('a.png', 'empty.mp4', 'film.avi'):
        (tmp_path / each).touch()
    for each in ('text.mp4', 'text.json'):
        (tmp_path / each).write_text('words')
    written(tmp_path, ours())
    with pytest.raises(UserError, match=message):
        track(tmp_path / name, tmp_path / 'out', engine)


def test_a_drawing_takes_its_name_when_it_is_complete(film, tmp_path, monkeypatch):
    video = read_poses(written(tmp_path, ours()))
    track_video(video)
    video.frames[5].scores = None
    with pytest.raises(TypeError):
        draw_video(film, video, tmp_path / 'out.mp4')
    assert not list(tmp_path.glob('*out*')), 'half a drawing is left'


def test_the_tools_on_a_video(monkeypatch, capsys, film, tmp_path):
    student = write_student(tmp_path / 'student')
    out = tmp_path / 'out'
    code = run_tool(monkeypatch, 'track.py', film, '--student', student, '--out', out,
                    '--format', 'csv', '--device', 'cpu')  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    assert 'in 8 frames' in printed
    assert re.search(r'poses found at [\d.e+]+ frames per second', printed)
    assert (out / 'film_tracks.mp4').stat().st_size
    assert (out / 'film_csv.csv').read_text().startswith('frame,time,track_id,x1')
    again = ('infer.py', film, '--student', student, '--out', out, '--track', '--device', 'cpu')
    before = (out / 'predictions/film.json').read_bytes()
    assert 'film.json exists. Choose another --out' in run_tool(monkeypatch, *again)
    assert (out / 'predictions/film.json').read_bytes() == before
    assert run_tool(monkeypatch, *again, '--force') == 0
    assert 'frames per second' in capsys.readouterr().out
    frames = json.loads((out / 'predictions/film.json').read_text())['instance_info']
    assert all('track_id' in person for frame in frames for person in frame['instances'])
