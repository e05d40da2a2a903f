"""Pseudo-labels: what is written, that mmpose reads it, and the sheet to look at."""

import json
import shutil

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from students import write_student

from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.deploy.inference.boxes import read_boxes
from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.deploy.inference.pseudo_labels import LABELS, LINES, CocoLabels, pseudo_label
from okdhp_mm.deploy.inference.sources import open_source
from okdhp_mm.errors import UserError
from okdhp_mm.visualization import contact_sheet


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    return TorchEngine(write_student(tmp_path_factory.mktemp('student')), 'cpu')


@pytest.fixture(scope='module')
def labeled(engine, tmp_path_factory):
    """Pseudo-labels of drawn persons in the boxes of their annotations."""
    folder = tmp_path_factory.mktemp('coco')
    annotations = write_coco(folder, 'val', 4, 0)
    source = open_source(str(folder / 'val2017'))
    # The student is not trained. Half of its scores are below this threshold.
    done = pseudo_label(source, engine, folder / 'out', read_boxes(annotations), 0.5)
    return done, folder, annotations


def test_every_person_gets_the_poses_of_the_model_with_their_scores(engine, labeled):
    done, folder, annotations = labeled
    content, truth = json.loads(done.file.read_text()), json.loads(annotations.read_text())
    assert content['categories'][0]['keypoints'] == engine.keypoint_names
    assert len(content['annotations']) == len(truth['annotations']) == done.persons == 4
    for entry, own in zip(content['annotations'], truth['annotations'], strict=True):
        name = content['images'][entry['image_id'] - 1]['file_name']
        assert name == truth['images'][own['image_id'] - 1]['file_name']
        assert entry['bbox'] == pytest.approx(own['bbox'], abs=0.02)
        image = cv2.imread(str(folder / 'val2017' / name))
        x, y, width, height = own['bbox']
        (person,) = engine(image, [[x, y, x + width, y + height]])
        points = np.reshape(entry['keypoints'], (-1, 3))
        assert points[:, :2] == pytest.approx(np.array(person['keypoints']), abs=0.05)
        assert entry['keypoint_scores'] == pytest.approx(person['keypoint_scores'], abs=1e-3)
        assert (points[:, 2] == 2 * (np.array(entry['keypoint_scores']) >= 0.5)).all()
        assert entry['num_keypoints'] == (points[:, 2] > 0).sum()
    share = np.mean([v for e in content['annotations'] for v in np.array(e['keypoints'][2::3]) > 0])
    assert done.keypoints == pytest.approx(share)


def test_mmpose_reads_them_as_labels(labeled):
    done, folder, _ = labeled
    prefix = dict(img=json.loads(done.file.read_text())['info']['images'])
    dataset = CocoDataset(ann_file=str(done.file), data_prefix=prefix, data_root='')
    assert len(dataset) == 4
    info = dataset.get_data_info(0)
    assert info['keypoints'].shape == (1, 17, 2)
    assert set(np.unique(info['keypoints_visible'])) <= {0, 1}


def test_the_sheet_shows_all_persons(labeled):
    done, _, _ = labeled
    sheet = cv2.imread(str(done.sheet))
    assert sheet.shape == (208, 4 * 204 + 4, 3)
    assert all(sheet[:, 4 + 204 * i : 204 + 204 * i].std() > 10 for i in range(4))


def test_frames_of_a_video_are_kept_as_pictures(engine, tmp_path):
    image = np.full((96, 64, 3), 90, np.uint8)
    writer = cv2.VideoWriter(
        str(tmp_path / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (64, 96)
    )
    for _ in range(7):
        writer.write(image)
    writer.release()
    out = tmp_path / 'out'
    done = pseudo_label(open_source(str(tmp_path / 'clip.avi')), engine, out, every=3)
    content = json.loads(done.file.read_text())
    names = [entry['file_name'] for entry in content['images']]
    assert names == [f'frames/clip_{number:06d}.jpg' for number in (0, 3, 6)]
    assert all((out / name).is_file() for name in names)
    assert content['info']['images'] == str(out)
    assert done.persons == 3


def test_a_picture_without_persons_is_listed(engine, labeled, tmp_path):
    _, folder, _ = labeled
    source = open_source(str(folder / 'val2017' / '000000000001.jpg'))
    done = pseudo_label(source, engine, tmp_path, {'000000000001.jpg': []})
    content = json.loads(done.file.read_text())
    assert len(content['images']) == 1
    assert content['annotations'] == []
    assert done.sheet is None


class Interrupted(TorchEngine):
    """A student that stops at the third picture."""

    def __call__(self, image, boxes):
        self.calls = getattr(self, 'calls', 0) + 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().__call__(image, boxes)


def test_an_interrupted_run_keeps_its_labels(labeled, tmp_path):
    _, folder, _ = labeled
    engine = Interrupted(write_student(tmp_path / 'student'), 'cpu')
    source = open_source(str(folder / 'val2017'))
    with pytest.raises(KeyboardInterrupt):
        pseudo_label(source, engine, tmp_path, info=dict(fingerprint='complete'))
    content = json.loads((tmp_path / LABELS).read_text())
    assert len(content['images']) == len(content['annotations']) == 2
    assert 'fingerprint' not in content['info']
    assert not (tmp_path / LINES).exists()


def test_every_picture_is_on_the_disk_at_once(engine, labeled, tmp_path):
    _, folder, _ = labeled
    labels = CocoLabels(tmp_path / LABELS, engine, 0.5, folder)
    for number, frame in enumerate(open_source(str(folder / 'val2017')).frames(), 1):
        labels.add(frame, [])
        # A killed process writes no more than this.
        lines = [json.loads(line) for line in (tmp_path / LINES).read_text().splitlines()]
        assert [line['image'] for line in lines] == labels.images
        assert len(lines) == number
    assert not labels.file.exists()


def test_what_cannot_be_read_is_told(engine, labeled, tmp_path):
    _, folder, _ = labeled
    files = sorted((folder / 'val2017').iterdir())
    shutil.copy(files[0], tmp_path / 'whole.jpg')
    (tmp_path / 'broken.jpg').write_bytes(b'broken')
    (tmp_path / 'cut.jpg').write_bytes(files[0].read_bytes()[:-700])
    done = pseudo_label(open_source(str(tmp_path)), engine, tmp_path / 'out')
    assert done.summary.skipped == [str(tmp_path / 'broken.jpg')]
    assert done.summary.cut == [str(tmp_path / 'cut.jpg')]
    assert not done.summary.complete


@pytest.mark.parametrize(
    'content, match',
    [
        ('{"images": [{"id": 1}], "annotations": []}', 'images need id and file_name'),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2, '
            '"bbox": [1, 2, 3, 4]}]}',
            'image_id of one of them',
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, '
            '"bbox": [1, 2]}]}',
            'and bbox',
        ),
    ],
)
def test_incomplete_annotations_are_no_boxes(tmp_path, content, match):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(UserError, match=match):
        read_boxes(tmp_path / 'a.json')


def test_a_sheet_has_rows():
    picture = np.zeros((50, 20, 3), np.uint8)
    assert contact_sheet([(picture, '0.5')] * 9).shape == (2 * 204 + 4, 8 * 204 + 4, 3)
