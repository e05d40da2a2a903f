"""Poses in files: what is read, what is written, and how bad input is told."""

import errno
import json
import os
import resource
import runpy
import shutil
import signal
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.apis import MMPoseInferencer
from rich.progress import _TrackThread
from students import write_student

from okdhp_mm.datasets.synthetic import draw_figure
from okdhp_mm.deploy.inference import images
from okdhp_mm.deploy.inference.boxes import read_boxes
from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.deploy.inference.run import infer
from okdhp_mm.errors import UserError

ROOT = Path(__file__).parents[3]
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


class Center:
    """Finds one keypoint in every box, and remembers what it was given."""

    keypoint_names, skeleton = ['nose'], []

    def __init__(self, score=1):
        self.seen, self.score = [], np.float32(score)

    def __call__(self, image, boxes):
        self.seen.append((image.shape, boxes))
        boxes = [[0, 0, *image.shape[1::-1]]] if boxes is None else boxes
        return [
            dict(keypoints=[[1.0, 2.0]], keypoint_scores=[self.score], bbox=[box], bbox_score=1.0)
            for box in boxes
        ]


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['infer.py', *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / 'tools' / 'infer.py'), run_name='__main__')
    except SystemExit as ended:
        return ended.code
    return 0


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
    assert engine(cv2.imread(str(file)), None) == expected['predictions'][0]


def test_every_box_has_a_pose_of_its_own(engine, pictures):
    image = cv2.imread(str(pictures / '0.png'))
    found = engine(image, BOXES)
    assert [np.array(person['bbox'])[0].tolist() for person in found] == BOXES
    (whole,) = engine(image, None)
    single = engine(image, BOXES[1:])
    assert np.allclose(found[1]['keypoints'], single[0]['keypoints'], atol=1e-3)
    assert not np.allclose(found[1]['keypoints'], whole['keypoints'], atol=1)


def test_colors_of_a_picture_stay(engine, tmp_path):
    image = np.zeros((600, 400, 3), np.uint8)
    image[..., 0] = 255  # blue
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    infer(tmp_path / 'a.png', engine, tmp_path / 'out')
    picture = cv2.imread(str(tmp_path / 'out' / 'visualizations' / 'a.png'))
    assert np.median(picture.reshape(-1, 3), axis=0).tolist() == [255, 0, 0]


# ---------------------------------------------------------------------------- what is written


def test_a_folder_is_written_and_what_cannot_be_read_is_counted(
    student, pictures, tmp_path, monkeypatch, capsys
):
    warned = []
    monkeypatch.setattr(images, 'print_log', lambda text, *_: warned.append(text))
    status = run_tool(
        monkeypatch, pictures, '--student', student, '--out', tmp_path, '--device', 'cpu'
    )
    printed = capsys.readouterr().out
    assert '2 pictures, 1 skipped' in printed
    assert 'note: Each picture was taken as one person: no detector and no boxes' in printed
    assert status == 3
    broken = pictures / 'broken.jpg'
    assert warned == [
        f'{broken} cannot be read: it is empty, damaged or not a picture. It is skipped.'
    ]
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob('*.*'))
    assert names == [
        'predictions/0.json',
        'predictions/1.json',
        'visualizations/0.png',
        'visualizations/1.png',
    ]
    (person,) = read(tmp_path / 'predictions' / '0.json')['instance_info']
    assert np.shape(person['keypoints']) == (17, 2)
    assert np.shape(person['keypoint_scores']) == (17,)


def test_a_video_has_poses_of_every_frame(student, video, tmp_path, monkeypatch, capsys):
    arguments = (video, '--student', student, '--out', tmp_path, '--device', 'cpu')
    assert run_tool(monkeypatch, *arguments) == 0
    assert '6 frames: ' in capsys.readouterr().out
    document = read(tmp_path / 'predictions' / 'clip.json')
    meta, frames = document['meta_info'], document['instance_info']
    assert meta['complete'] and meta['frames_announced'] == 6
    assert [frame['time'] for frame in frames] == pytest.approx(np.arange(6) / 12, abs=1e-6)
    assert [file.name for file in (tmp_path / 'predictions').iterdir()] == ['clip.json']
    assert [frame['frame_id'] for frame in frames] == list(range(6))
    assert all(np.shape(frame['instances'][0]['keypoints']) == (17, 2) for frame in frames)
    written = cv2.VideoCapture(str(tmp_path / 'visualizations' / 'clip.mp4'))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert written.get(cv2.CAP_PROP_FPS) == pytest.approx(12)


def test_boxes_are_given_by_file_name(pictures, video, tmp_path):
    file = tmp_path / 'boxes.json'
    file.write_text(json.dumps({'1.png': BOXES}))
    engine = Center()
    infer(pictures, engine, tmp_path / 'pictures', read_boxes(file))
    assert [boxes for _, boxes in engine.seen] == [None, BOXES]
    engine = Center()
    infer(pictures / '0.png', engine, tmp_path / 'single', read_boxes(file))
    assert [boxes for _, boxes in engine.seen] == [None], 'they are of its neighbor'
    file.write_text(json.dumps({'clip.avi': BOXES[:1]}))
    engine = Center()
    assert infer(video, engine, tmp_path / 'video', read_boxes(file)).written == 6
    assert [boxes for _, boxes in engine.seen] == [BOXES[:1]] * 6


def test_a_folder_is_no_video_whatever_its_name(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / 'clips.mp4')
    assert str(infer(folder, Center(), tmp_path / 'out')) == '2 pictures, 1 skipped'


def test_a_single_picture_needs_no_folder(pictures, tmp_path):
    assert str(infer(pictures / '1.png', Center(), tmp_path)) == '1 picture'
    assert read(tmp_path / 'predictions' / '1.json')['instance_info'][0]['keypoints'] == [[1, 2]]


@pytest.mark.parametrize(
    'name', ['a.heic', 'a.pgm', 'a.exr'], ids=['never', 'not in colors', 'turned off']
)
def test_a_picture_of_a_kind_that_cannot_be_written_becomes_a_jpeg(pictures, tmp_path, name):
    shutil.copy(pictures / '0.png', tmp_path / name)  # its content says what it is
    assert infer(tmp_path / name, Center(), tmp_path).written == 1
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
        infer(file, Center(), tmp_path)


def test_a_picture_of_a_codec_that_is_turned_off_is_skipped(pictures, tmp_path):
    (tmp_path / 'a.exr').write_bytes(b'\x76\x2f\x31\x01')
    shutil.copy(pictures / '0.png', tmp_path)
    assert str(infer(tmp_path, Center(), tmp_path / 'out')) == '1 picture, 1 skipped'


@pytest.mark.parametrize('base', ['boxes.pkl', 'evil.yaml'])
def test_a_student_whose_config_refers_to_code_is_refused(student, base, tmp_path):
    copied = shutil.copytree(student, tmp_path / 'student')
    (copied / base).write_text('a: !!python/object/apply:os.getcwd []\n')
    (copied / 'student.py').write_text(f'_base_ = {str(copied / base)!r}\n')
    with pytest.raises(UserError, match=r'student\.py cannot be read'):
        TorchEngine(copied)


def test_a_missing_student_ends_in_one_sentence(pictures, tmp_path, monkeypatch):
    cases = {
        'student.py and no student.pth': ((), 'CHECKPOINT FOLDER` wrote'),
        'student.onnx': (('--onnx',), 'CHECKPOINT FOLDER with --onnx --decode` wrote'),
        'student_int8.onnx': (('--onnx', 'student_int8.onnx'), '--decode --int8 PICTURES` wrote'),
    }
    for missing, (options, how) in cases.items():
        sentence = run_tool(monkeypatch, pictures, '--student', tmp_path, *options)
        assert sentence.startswith(f'error: {tmp_path} has no {missing}: name the folder')
        assert how in sentence


@pytest.mark.parametrize('device', ['cuda:99', 'gpu'])
def test_a_device_that_is_not_there_is_refused(student, device):
    with pytest.raises(UserError, match=f'--device {device} cannot be used here'):
        TorchEngine(student, device)


def test_sources_that_are_none_are_refused(pictures, tmp_path):
    with pytest.raises(UserError, match='nowhere does not exist'):
        infer(tmp_path / 'nowhere', Center(), tmp_path)
    with pytest.raises(UserError, match='is not a folder with pictures'):
        infer(tmp_path, Center(), tmp_path)
    with pytest.raises(UserError, match='neither a picture nor a video nor a folder'):
        infer(pictures / 'notes.txt', Center(), tmp_path)
    with pytest.raises(UserError, match=r'None of the 1 pictures can be read, e\.g\. .*broken'):
        infer(pictures / 'broken.jpg', Center(), tmp_path)
    (tmp_path / 'clip.mp4').write_text('not a video')
    with pytest.raises(UserError, match=r'clip\.mp4 cannot be read: it is empty, damaged'):
        infer(tmp_path / 'clip.mp4', Center(), tmp_path)


def test_pictures_that_would_be_written_to_one_file_are_refused(tmp_path):
    for name in ('a.jpg', 'a.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r'a\.jpg and a\.png would both be written to a\.json'):
        infer(tmp_path, Center(), tmp_path / 'out')


@pytest.mark.parametrize('name', ['2.png', 'photos/1.png', '1.PNG', './1.png'])
@pytest.mark.parametrize('source', ['', '1.png'], ids=['folder', 'picture'])
def test_boxes_for_files_that_are_not_there_are_refused(pictures, tmp_path, name, source):
    boxes = {'1.png': BOXES, name: BOXES}
    with pytest.raises(UserError) as refused:
        infer(pictures / source, Center(), tmp_path / 'out', boxes)
    assert str(refused.value) == (
        f'There are boxes for {name!r}, but {pictures} has no such file. Name files relative to '
        "that folder, e.g. 'a.jpg' or 'sub/a.jpg'."
    )
    assert not (tmp_path / 'out').exists()


# --------------------------------------------------------------------- nothing late or silent


def test_an_empty_list_means_that_there_are_no_persons(engine, pictures, tmp_path):
    assert engine(cv2.imread(str(pictures / '0.png')), []) == []
    done = infer(pictures / '0.png', engine, tmp_path, {'0.png': []})
    assert (done.written, done.keypoints, done.notes) == (1, 0, [])
    assert read(tmp_path / 'predictions' / '0.json')['instance_info'] == []
    drawn = cv2.imread(str(tmp_path / 'visualizations' / '0.png'))
    assert np.array_equal(drawn, cv2.imread(str(pictures / '0.png')))


def test_a_video_may_have_a_list_of_boxes_for_each_frame(video, tmp_path):
    lists = [BOXES, [], BOXES[:1], [], [], BOXES[1:]]
    engine = Center()
    done = infer(video, engine, tmp_path, {'clip.avi': lists})
    assert [boxes for _, boxes in engine.seen] == lists
    assert done.origins == {'given': 6}
    with pytest.raises(UserError, match=r'for 2 frames, but .*clip\.avi has 6: give one for each'):
        infer(video, engine, tmp_path, {'clip.avi': lists[:2]})


def test_lists_of_boxes_behind_the_last_frame_are_told(video, tmp_path):
    engine, lists = Center(), [[[10, 20, 60, 80]]] * 9
    done = infer(video, engine, tmp_path / 'more', {'clip.avi': lists})
    assert 'The video has 6 frames, so the last 3 of the 9 lists of boxes were not used.' in (
        ' '.join(done.notes)
    )
    done = infer(video, engine, tmp_path / 'equal', {'clip.avi': lists[:6]})
    assert 'lists of boxes' not in ' '.join(done.notes)


def test_a_picture_has_no_list_of_boxes_for_each_frame(pictures, tmp_path):
    with pytest.raises(UserError, match=r'0\.png is a picture, but its boxes are lists'):
        infer(pictures, Center(), tmp_path, {'0.png': [BOXES, []]})


def test_it_is_said_which_pictures_were_taken_as_one_person(pictures, tmp_path):
    done = infer(pictures, Center(), tmp_path, {'0.png': BOXES})
    assert done.notes == [
        '1 of 2 pictures were taken as one person each: no detector and no boxes were given for '
        'them.'
    ]
    kinds = {name: read(tmp_path / 'predictions' / f'{name}.json') for name in '01'}
    assert kinds['0']['meta_info']['boxes'] == 'given'
    assert kinds['1']['meta_info']['boxes'] == 'whole image'


@pytest.mark.parametrize('threshold, drawn', [(0.3, False), (0.2, True)])
def test_it_is_said_if_no_keypoint_is_drawn(pictures, tmp_path, threshold, drawn):
    done = infer(pictures / '0.png', Center(0.25), tmp_path, threshold=threshold)
    picture = cv2.imread(str(tmp_path / 'visualizations' / '0.png'))
    assert np.array_equal(picture, cv2.imread(str(pictures / '0.png'))) != drawn
    said = [note for note in done.notes if 'None of the 1 keypoints reaches the threshold' in note]
    assert bool(said) != drawn
    if said:
        assert 'The highest score is 0.25' in said[0]


def test_it_is_said_if_poses_are_outside_of_their_picture(pictures, tmp_path):
    class Corner(Center):
        """Finds the keypoint in the upper left corner of each box."""

        def __call__(self, image, boxes):
            persons = super().__call__(image, boxes)
            for person in persons:
                person['keypoints'] = [person['bbox'][0][:2]]
            return persons

    height, width = cv2.imread(str(pictures / '0.png')).shape[:2]
    inside, beyond = [1, 1, 9, 9], [width, 1, 2 * width, 9]
    above, far = [1, -9, 9, -1], [1e12, 1e12, 2e12, 2e12]
    done = infer(pictures / '0.png', Corner(), tmp_path / 'a', {'0.png': [inside, beyond]})
    assert done.notes == [
        '1 of 2 poses lie outside of their picture, where nothing of them is drawn. Check their '
        'boxes: x1 y1 x2 y2 in pixels.'
    ]
    done = infer(pictures / '0.png', Corner(), tmp_path / 'b', {'0.png': [above, far]})
    assert '2 of 2 poses lie outside' in done.notes[0]
    assert infer(pictures / '0.png', Corner(), tmp_path / 'c', {'0.png': [inside]}).notes == []
    uncertain = Corner(0.1)
    done = infer(pictures / '0.png', uncertain, tmp_path / 'd', {'0.png': [inside, beyond]})
    assert 'None of the 2 keypoints' in done.notes[0] and len(done.notes) == 1


def test_results_say_names_sizes_and_time(engine, pictures, tmp_path):
    infer(pictures / '0.png', engine, tmp_path)
    meta = read(tmp_path / 'predictions' / '0.json')['meta_info']
    height, width = cv2.imread(str(pictures / '0.png')).shape[:2]
    assert meta['image_size'] == [width, height]
    assert meta['keypoint_names'][:2] == ['nose', 'left_eye'] and len(meta['keypoint_names']) == 17
    assert [15, 13] in meta['skeleton']
    assert abs(datetime.fromisoformat(meta['created']) - datetime.now(timezone.utc)).seconds < 600


def test_sub_folders_are_looked_into_and_earlier_results_are_not(pictures, tmp_path):
    folder = tmp_path / 'photos'
    for place in ('a', 'b/deep er', '.thumbnails'):
        (folder / place).mkdir(parents=True)
        shutil.copy(pictures / '0.png', folder / place / '0.png')
    engine = Center()
    for _ in range(2):
        boxes = {'b/deep er/0.png': BOXES}
        done = infer(folder, engine, folder / 'out', boxes, force=True)
        assert (done.written, done.origins['whole image']) == (2, 1)
    assert [boxes for _, boxes in engine.seen] == [None, BOXES] * 2
    assert (folder / 'out' / 'predictions' / 'b' / 'deep er' / '0.json').is_file()


@pytest.mark.parametrize(
    'kept',
    [
        *('predictions/0.json', 'visualizations/0.png', 'visualizations/0.jpg'),
        *('poses.csv', 'coco_results.json', 'predictions/clip.json', 'visualizations/clip.mp4'),
    ],
)
def test_nothing_is_overwritten_without_force(pictures, video, tmp_path, kept):
    file = tmp_path / kept
    file.parent.mkdir(exist_ok=True)
    file.write_text('kept')
    source = video if 'clip' in kept else pictures / '0.png'
    engine = Center()
    with pytest.raises(UserError, match=rf'{kept} exists\. Choose another --out, or overwrite it'):
        infer(source, engine, tmp_path, csv=True, coco=True)
    assert file.read_text() == 'kept' and not engine.seen
    infer(source, engine, tmp_path, csv=True, coco=True, force=True)
    assert kept == 'visualizations/0.jpg' or file.read_bytes() != b'kept'


def test_the_tool_overwrites_with_force_only(student, pictures, tmp_path, monkeypatch):
    arguments = pictures / '0.png', '--student', student, '--out', tmp_path, '--device', 'cpu'
    assert run_tool(monkeypatch, *arguments) == 0
    assert 'predictions/0.json exists' in run_tool(monkeypatch, *arguments)
    assert run_tool(monkeypatch, *arguments, '--force') == 0


def test_a_drawing_never_replaces_its_source(pictures, tmp_path):
    folder = tmp_path / 'visualizations'
    folder.mkdir()
    shutil.copy(pictures / '0.png', folder)
    with pytest.raises(UserError, match='would replace .* itself: choose another --out'):
        infer(folder / '0.png', Center(), tmp_path)


class Broken(Center):
    """Finds a keypoint that is not finite, or stops like Ctrl-C or SIGKILL, at the third frame."""

    def __init__(self, stop):
        super().__init__()
        self.stop = stop

    def __call__(self, image, boxes):
        persons = super().__call__(image, boxes)
        if len(self.seen) == 3:
            self.stop(persons)
        return persons


def interrupt(persons):
    raise KeyboardInterrupt


def kill(persons):
    os.kill(os.getpid(), signal.SIGKILL)


def spoil(persons):
    persons[0]['keypoint_scores'] = [np.nan]


@pytest.mark.parametrize('stop, error', [(interrupt, KeyboardInterrupt), (spoil, UserError)])
def test_an_interrupted_video_keeps_its_frames(video, tmp_path, stop, error):
    with pytest.raises(error):
        infer(video, Broken(stop), tmp_path)
    document = read(tmp_path / 'predictions' / 'clip.json')
    assert [frame['frame_id'] for frame in document['instance_info']] == [0, 1]
    assert document['meta_info']['complete'] is False
    drawn = cv2.VideoCapture(str(tmp_path / 'visualizations' / 'clip.mp4'))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    assert sorted(file.name for file in tmp_path.rglob('*.*')) == ['clip.json', 'clip.mp4']


def test_a_killed_video_keeps_its_frames_as_lines(video, tmp_path):
    child = os.fork()
    if not child:
        infer(video, Broken(kill), tmp_path)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    text = (tmp_path / 'predictions' / 'clip.jsonl').read_text()
    meta, *frames = map(json.loads, text.splitlines())
    assert meta['meta_info']['keypoint_names'] == ['nose']
    assert [frame['frame_id'] for frame in frames] == [0, 1]
    with pytest.raises(UserError, match=r'clip\.jsonl exists'):
        infer(video, Center(), tmp_path)
    infer(video, Center(), tmp_path, force=True)
    assert len(read(tmp_path / 'predictions' / 'clip.json')['instance_info']) == 6
    assert not (tmp_path / 'predictions' / 'clip.jsonl').exists()


def test_a_full_disk_keeps_the_frames_so_far(video, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as full:
            infer(video, Center(), tmp_path, {'clip.avi': [[0, 0, 9, 9]] * 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    # An open bar waits for itself if it is collected in the thread of a later one.
    assert not [thread for thread in threading.enumerate() if isinstance(thread, _TrackThread)]
    assert full.value.errno == errno.EFBIG
    lines = (tmp_path / 'predictions' / 'clip.jsonl').read_text().splitlines()
    frames = [json.loads(line) for line in lines[1:-1]]
    assert [frame['frame_id'] for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 1


def test_a_cut_video_is_reported(video, tmp_path):
    whole = video.read_bytes()
    cut = tmp_path / 'cut.avi'
    # The index is at the end; the header still announces six frames.
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    done = infer(cut, Center(), tmp_path / 'out')
    assert 1 <= done.written < 5
    assert not done.complete
    assert str(done) == f'{done.written} of 6 frames'
    assert f'ends after {done.written} of 6 frames: it is cut or damaged' in done.notes[-1]
    assert read(tmp_path / 'out' / 'predictions' / 'cut.json')['meta_info']['complete'] is False


def test_one_bad_picture_never_stops_the_others(pictures, tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    image = cv2.imread(str(pictures / '0.png'))
    cv2.imwrite(str(folder / 'good.png'), image)
    cv2.imwrite(str(folder / 'wide.png'), np.zeros((2, 33000, 3), np.uint8))
    (folder / 'empty.jpg').touch()
    (folder / 'text.webp').write_text('not a picture')
    (folder / 'gone.png').symlink_to(folder / 'nowhere')
    (folder / 'phone.HEIC').write_bytes(b'\x00\x00\x00\x18ftypheic')
    (folder / 'no.exr').write_bytes(b'\x76\x2f\x31\x01')
    content = cv2.imencode('.jpg', image)[1].tobytes()
    (folder / 'half.jpg').write_bytes(content[: len(content) // 2])
    os.mkfifo(folder / 'pipe.jpg')
    (folder / 'folder.jpg').mkdir()
    done = infer(folder, Center(), tmp_path / 'out')
    names = ['empty.jpg', 'gone.png', 'no.exr', 'phone.HEIC', 'text.webp', 'wide.png']
    assert [Path(file).name for file in done.skipped] == names
    assert [Path(file).name for file in done.cut] == ['half.jpg']
    assert str(done) == '2 pictures, 6 skipped, 1 incomplete'
    assert not done.complete


def test_home_is_meant_by_a_tilde(student, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    shutil.copy(pictures / '0.png', tmp_path)
    (tmp_path / 'boxes.json').write_text('{"0.png": []}')
    (tmp_path / 'student').symlink_to(student)
    options = ('--student', '~/student', '--out=~/out', '--boxes', '~/boxes.json')
    assert run_tool(monkeypatch, '~/0.png', *options, '--device', 'cpu') == 0
    assert (tmp_path / 'out' / 'predictions' / '0.json').is_file()
