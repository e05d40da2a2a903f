"""Sources of pictures: lists, URLs and cameras; files and folders are in test_run.py."""

import contextlib
import functools
import http.server
import json
import threading

import cv2
import numpy as np
import pytest

from okdhp_mm.deploy.inference.run import infer
from okdhp_mm.deploy.inference.sources import Pictures, Video, open_source, without_password
from okdhp_mm.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ('a/1.png', 'b/2.png'):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 50, np.uint8))
    writer = cv2.VideoWriter(
        str(tmp_path / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 24)
    )
    for _ in range(5):
        writer.write(np.zeros((24, 32, 3), np.uint8))
    writer.release()
    return tmp_path


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(folder):
    (folder / 'notes').write_text('not a picture')
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


def test_a_list_names_pictures_relative_to_itself(folder):
    (folder / 'list.txt').write_text(f'# two\na/1.png\n\n{folder}/b/2.png\na/../a/1.png\n')
    source = open_source(str(folder / 'list.txt'))
    assert list(source.files) == ['a/1.png', 'b/2.png']
    assert [frame.name for frame in source.frames()] == ['a/1.png', 'b/2.png']


def test_a_missing_picture_of_a_list_is_skipped(folder):
    (folder / 'list.txt').write_text('a/1.png\nc/3.png\n')
    source = open_source(str(folder / 'list.txt'))
    assert [frame.name for frame in source.frames()] == ['a/1.png']
    assert len(source) == 2


def test_a_list_without_pictures_is_refused(folder):
    for text in ('', 'notes\n', '# a.png\n'):
        (folder / 'list.txt').write_text(text)
        with pytest.raises(UserError, match='list has the path of a picture in each line'):
            open_source(str(folder / 'list.txt'))


def test_a_picture_is_downloaded(server):
    (frame,) = open_source(f'{server}/b/2.png?size=large').frames()
    assert (frame.name, frame.image.shape) == ('2.png', (20, 30, 3))


def test_a_video_is_read_over_http(server):
    source = open_source(f'{server}/clip.avi')
    frames = list(source.frames())
    assert isinstance(source, Video)
    assert [frame.number for frame in frames] == list(range(5))
    assert frames[0].name == 'clip.avi'


class Stream(Silent):
    """A camera in the network, which sends pictures without end."""

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        picture = cv2.imencode('.jpg', np.zeros((24, 32, 3), np.uint8))[1].tobytes()
        head = f'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n'
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(head.encode() + picture + b'\r\n')


class Impatient:
    """Stops like Ctrl-C at the fourth frame."""

    keypoint_names, skeleton, frames = ['nose'], [], 0

    def __call__(self, image, boxes):
        self.frames += 1
        if self.frames == 4:
            raise KeyboardInterrupt
        return []


def test_ctrl_c_ends_a_camera_and_keeps_its_frames(tmp_path):
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Stream) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/camera'
        done = infer(url, Impatient(), tmp_path, detector=lambda image: np.zeros((0, 5)))
        server.shutdown()
    assert done.complete
    assert str(done) == '3 frames'
    document = json.loads((tmp_path / 'predictions' / 'camera.json').read_text())
    times = [frame['time'] for frame in document['instance_info']]
    assert times == sorted(times) and len(times) == 3
    assert document['meta_info']['complete']
    assert document['meta_info']['frames_announced'] is None


def test_urls_that_give_nothing_are_refused(server):
    for url, match in {
        f'{server}/no.png': 'no.png cannot be read .*404',
        f'{server}/clip.png': '404',
        'http://127.0.0.1:9/a.png': r'127\.0\.0\.1:9/a\.png cannot be read',
        'http://[/a.png': 'http://./a.png is not a URL',
        f'{server}/notes': 'notes cannot be read: it is empty, damaged or not a video',
    }.items():
        with pytest.raises(UserError, match=match):
            open_source(url)


def test_passwords_are_not_written():
    assert without_password('rtsp://me:secret@host:554/a') == 'rtsp://host:554/a'
    with pytest.raises(UserError) as refused:
        open_source('http://me:secret@127.0.0.1:9/a.png')
    assert 'secret' not in str(refused.value)


def test_a_camera_that_is_missing_is_refused():
    with pytest.raises(UserError, match='Camera 57 cannot be opened. Connect it'):
        open_source('57')


def test_pictures_are_numbered_as_in_coco_if_their_names_are_numbers(tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)

    def numbers(*names):
        files = [tmp_path / name for name in names]
        for file in files:
            cv2.imwrite(str(file), image)
        source = Pictures(files, tmp_path)
        return [source.image_id(frame) for frame in source.frames()]

    assert numbers('000139.png', '7.png') == [139, 7]
    assert numbers('a.png', '7.png') == [1, 2]
