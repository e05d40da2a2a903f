"""Poses in files: what is read, what is written, and how bad input is told."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.apis import MMPoseInferencer
from students import write_student

from okdhp_mm.datasets.synthetic import draw_figure
from okdhp_mm.deploy.infer import TorchEngine, infer, read_boxes
from okdhp_mm.errors import UserError

ROOT = Path(__file__).parents[2]
BOXES = [[5, 10, 80, 150], [20.5, 30, 100, 140]]


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    return write_student(tmp_path_factory.mktemp('student'))


@pytest.fixture(scope='module')
def engine(student):
    return TorchEngine(student, 'cpu')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """A folder with two pictures, something that claims to be one, and a text."""
    folder = tmp_path_factory.mktemp('pictures')
    for seed in range(2):
        cv2.imwrite(str(folder / f'{seed}.png'), draw_figure(np.random.default_rng(seed)).image)
    (folder / 'broken.jpg').write_text('not a picture')
    (folder / 'notes.txt').write_text('nor this')
    return folder


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Six frames, each a little darker."""
    file = tmp_path_factory.mktemp('video') / 'clip.avi'
    image = draw_figure(np.random.default_rng(0)).image
    size = image.shape[1::-1]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 12.0, size)
    for shade in range(6):
        writer.write((image * (1 - 0.1 * shade)).astype(np.uint8))
    writer.release()
    return file


class Centre:
    """Finds one keypoint in the middle of every box, and remembers what it was given."""

    def __init__(self):
        self.seen = []

    def __call__(self, image, boxes):
        self.seen.append((image.shape, boxes))
        return [dict(keypoints=[[1.0, 2.0]], keypoint_scores=[np.float32(1)])], image


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['infer.py', *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / 'infer.py'), run_name='__main__')


def read(file):
    return json.loads(file.read_text())


# ------------------------------------------------------------------------------ what is found


def test_a_pose_of_the_whole_image_is_the_stock_inferencers(student, engine, pictures):
    stock = MMPoseInferencer(
        pose2d=str(student / 'student.py'),
        pose2d_weights=str(student / 'student.pth'),
        det_model='whole_image',
        device='cpu',
    )
    file = pictures / '0.png'
    (expected,) = stock(str(file))
    found, picture = engine(cv2.imread(str(file)), None)
    assert found == expected['predictions'][0]
    assert picture.shape == cv2.imread(str(file)).shape


def test_every_box_has_a_pose_of_its_own(engine, pictures):
    image = cv2.imread(str(pictures / '0.png'))
    found, _ = engine(image, BOXES)
    assert [np.array(person['bbox'])[0].tolist() for person in found] == BOXES
    (whole,), _ = engine(image, None)
    single, _ = engine(image, BOXES[1:])
    assert np.allclose(found[1]['keypoints'], single[0]['keypoints'], atol=1e-3)
    assert not np.allclose(found[1]['keypoints'], whole['keypoints'], atol=1)


def test_colours_of_a_picture_stay(engine):
    image = np.zeros((60, 40, 3), np.uint8)
    image[..., 0] = 255  # blue
    _, picture = engine(image, None)
    assert np.median(picture.reshape(-1, 3), axis=0).tolist() == [255, 0, 0]


# ---------------------------------------------------------------------------- what is written


def test_a_folder_is_written_and_what_cannot_be_read_is_counted(
    student, pictures, tmp_path, monkeypatch, capsys
):
    warned = []
    monkeypatch.setattr('okdhp_mm.deploy.infer.print_log', lambda text, *_: warned.append(text))
    run_tool(monkeypatch, pictures, '--student', student, '--out', tmp_path, '--device', 'cpu')
    assert '2 pictures, 1 skipped' in capsys.readouterr().out
    assert warned == [f'{pictures / "broken.jpg"} cannot be read and is skipped']
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob('*.*'))
    assert names == [
        'predictions/0.json',
        'predictions/1.json',
        'visualizations/0.png',
        'visualizations/1.png',
    ]
    (person,) = read(tmp_path / 'predictions' / '0.json')
    assert np.shape(person['keypoints']) == (17, 2)
    assert np.shape(person['keypoint_scores']) == (17,)


def test_a_video_has_poses_of_every_frame(student, video, tmp_path, monkeypatch, capsys):
    run_tool(monkeypatch, video, '--student', student, '--out', tmp_path, '--device', 'cpu')
    assert '6 frames: ' in capsys.readouterr().out
    frames = read(tmp_path / 'predictions' / 'clip.json')
    assert [frame['frame_id'] for frame in frames] == list(range(6))
    assert all(np.shape(frame['instances'][0]['keypoints']) == (17, 2) for frame in frames)
    written = cv2.VideoCapture(str(tmp_path / 'visualizations' / 'clip.mp4'))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert written.get(cv2.CAP_PROP_FPS) == pytest.approx(12)


def test_boxes_are_given_by_file_name(pictures, video, tmp_path):
    file = tmp_path / 'boxes.json'
    file.write_text(json.dumps({'1.png': BOXES}))
    engine = Centre()
    infer(pictures, engine, tmp_path / 'pictures', read_boxes(file))
    assert [boxes for _, boxes in engine.seen] == [None, BOXES]
    engine = Centre()
    infer(pictures / '0.png', engine, tmp_path / 'single', read_boxes(file))
    assert [boxes for _, boxes in engine.seen] == [None], 'they are of its neighbour'
    file.write_text(json.dumps({'clip.avi': BOXES[:1]}))
    engine = Centre()
    assert infer(video, engine, tmp_path / 'video', read_boxes(file)).written == 6
    assert [boxes for _, boxes in engine.seen] == [BOXES[:1]] * 6


def test_a_folder_is_no_video_whatever_its_name(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / 'clips.mp4')
    assert str(infer(folder, Centre(), tmp_path / 'out')) == '2 pictures, 1 skipped'


def test_a_single_picture_needs_no_folder(pictures, tmp_path):
    assert str(infer(pictures / '1.png', Centre(), tmp_path)) == '1 picture'
    assert read(tmp_path / 'predictions' / '1.json')[0]['keypoints'] == [[1, 2]]


@pytest.mark.parametrize('name', ['a.heic', 'a.pgm'], ids=['never', 'not in colours'])
def test_a_picture_of_a_kind_that_cannot_be_written_becomes_a_jpeg(pictures, tmp_path, name):
    shutil.copy(pictures / '0.png', tmp_path / name)  # its content says what it is
    assert infer(tmp_path / name, Centre(), tmp_path).written == 1
    (written,) = (tmp_path / 'visualizations').iterdir()
    assert written.name == 'a.jpg'
    assert cv2.imread(str(written)).shape == cv2.imread(str(pictures / '0.png')).shape


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(('source', 'blocked'), [('0.png', '0.jpg'), ('clip.avi', 'clip.mp4')])
def test_a_picture_or_video_that_cannot_be_written_is_told(
    pictures, video, tmp_path, source, blocked
):
    for name in {source, blocked}:
        (tmp_path / 'visualizations' / name).mkdir(parents=True)
    file = video if source == video.name else pictures / source
    with pytest.raises(UserError, match=f'visualizations/{blocked} cannot be written'):
        infer(file, Centre(), tmp_path)


def test_a_picture_of_a_codec_that_is_turned_off_is_skipped(pictures, tmp_path):
    (tmp_path / 'a.exr').write_bytes(b'\x76\x2f\x31\x01')
    shutil.copy(pictures / '0.png', tmp_path)
    assert str(infer(tmp_path, Centre(), tmp_path / 'out')) == '1 picture, 1 skipped'


def test_a_missing_student_ends_in_one_sentence(pictures, tmp_path, monkeypatch):
    cases = {
        'student.py and no student.pth': ((), 'CHECKPOINT FOLDER wrote'),
        'student.onnx': (('--onnx',), 'CHECKPOINT FOLDER with --onnx --decode wrote'),
        'student_int8.onnx': (('--onnx', 'student_int8.onnx'), '--decode --int8 PICTURES wrote'),
    }
    for missing, (options, how) in cases.items():
        with pytest.raises(SystemExit) as ended:
            run_tool(monkeypatch, pictures, '--student', tmp_path, *options)
        sentence = str(ended.value)
        assert sentence.startswith(f'error: {tmp_path} has no {missing}: name the folder')
        assert how in sentence


@pytest.mark.parametrize('device', ['cuda:99', 'gpu'])
def test_a_device_that_is_not_there_is_refused(student, device):
    with pytest.raises(UserError, match=f'--device {device} cannot be used here'):
        TorchEngine(student, device)


def test_sources_that_are_none_are_refused(pictures, tmp_path):
    with pytest.raises(UserError, match='nowhere does not exist'):
        infer(tmp_path / 'nowhere', Centre(), tmp_path)
    with pytest.raises(UserError, match='no folder with pictures'):
        infer(tmp_path, Centre(), tmp_path)
    with pytest.raises(UserError, match='neither a picture nor a video nor a folder'):
        infer(pictures / 'notes.txt', Centre(), tmp_path)
    with pytest.raises(UserError, match=r'None of the 1 pictures can be read, e\.g\. .*broken'):
        infer(pictures / 'broken.jpg', Centre(), tmp_path)
    (tmp_path / 'clip.mp4').write_text('not a video')
    with pytest.raises(UserError, match=r'clip\.mp4 is no video that can be read'):
        infer(tmp_path / 'clip.mp4', Centre(), tmp_path)


def test_pictures_that_would_be_written_to_one_file_are_refused(tmp_path):
    for name in ('a.jpg', 'a.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r'a\.jpg and a\.png would both be written to a\.json'):
        infer(tmp_path, Centre(), tmp_path / 'out')


@pytest.mark.parametrize(
    'text, match',
    [
        ('{', 'is no JSON'),
        ('[1]', 'holds a list; write'),
        ('{"a.jpg": []}', r'has \[\] for a\.jpg; write'),
        ('{"a.jpg": [[1, 2, 3]]}', r'has \[\[1, 2, 3\]\] for'),
        ('{"a.jpg": [[9, 2, 3, 4]]}', 'with at least one box and x1 < x2'),
        ('{"a.jpg": [["1", 2, 3, 4]]}', 'for a.jpg'),
        ('{"a.jpg": 3}', 'has 3 for'),
    ],
)
def test_boxes_that_are_none_are_refused(tmp_path, text, match):
    file = tmp_path / 'boxes.json'
    file.write_text(text)
    with pytest.raises(UserError, match=match):
        read_boxes(file)


@pytest.mark.parametrize('name', ['2.png', 'photos/1.png', '1.PNG', './1.png'])
@pytest.mark.parametrize('source', ['', '1.png'], ids=['folder', 'picture'])
def test_boxes_for_files_that_are_not_there_are_refused(pictures, tmp_path, name, source):
    boxes = {'1.png': BOXES, name: BOXES}
    with pytest.raises(UserError) as refused:
        infer(pictures / source, Centre(), tmp_path / 'out', boxes)
    assert str(refused.value) == (
        f'There are boxes for {name!r}, but no such file in {pictures}; name files without their '
        "folder, e.g. 'a.jpg'."
    )
    assert not (tmp_path / 'out').exists()


def test_a_missing_file_of_boxes_is_refused(tmp_path):
    with pytest.raises(UserError, match=r'boxes\.json cannot be read: No such file'):
        read_boxes(tmp_path / 'boxes.json')
