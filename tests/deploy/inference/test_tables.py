"""All poses in one file."""

import csv
import json

import cv2
import numpy as np
import pytest
from xtcocotools.coco import COCO

from okdhp_mm.deploy.inference.run import infer
from okdhp_mm.errors import UserError


class Middle:
    """Finds the middle of every box."""

    keypoint_names, skeleton = ['nose', 'tail'], [[0, 1]]

    def __call__(self, image, boxes):
        return [
            dict(
                keypoints=[[(x1 + x2) / 2, (y1 + y2) / 2], [x1, y1]],
                keypoint_scores=np.float32([0.5, 0.25]),
                bbox=[[x1, y1, x2, y2]],
                bbox_score=1.0,
            )
            for x1, y1, x2, y2 in boxes
        ]


class Detector:
    """Finds two persons."""

    def __call__(self, image):
        return np.array([[0, 0, 10, 20, 0.8], [10, 0, 20, 20, 0.4]], np.float32)


@pytest.fixture
def folder(tmp_path):
    for number in (3, 12):
        cv2.imwrite(str(tmp_path / f'{number:012}.png'), np.zeros((40, 40, 3), np.uint8))
    return tmp_path


def test_csv_has_a_row_for_each_person(folder, tmp_path):
    done = infer(folder, Middle(), tmp_path / 'out', detector=Detector(), csv=True)
    assert '4 poses found in 2 pictures.' in done.notes
    with open(tmp_path / 'out' / 'poses.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['source'] for row in rows] == ['000000000003.png'] * 2 + ['000000000012.png'] * 2
    assert [row['person'] for row in rows] == ['0', '1'] * 2
    assert (rows[1]['nose_x'], rows[1]['tail_score']) == ('15.0', '0.25')
    assert float(rows[1]['box_score']) == pytest.approx(0.4)


def test_coco_reads_the_results(folder, tmp_path):
    infer(folder, Middle(), tmp_path / 'out', {'000000000012.png': []}, detector=Detector(),
          coco=True)  # fmt: skip
    file = tmp_path / 'out' / 'coco_results.json'
    annotations = dict(
        images=[dict(id=number, width=40, height=40) for number in (3, 12)],
        categories=[dict(id=1, name='person')],
        annotations=[],
    )
    (tmp_path / 'annotations.json').write_text(json.dumps(annotations))
    loaded = COCO(str(tmp_path / 'annotations.json')).loadRes(str(file))
    first, second = loaded.loadAnns(loaded.getAnnIds())
    assert (first['image_id'], first['keypoints']) == (3, [5, 10, 0.5, 0, 0, 0.25])
    assert (first['score'], second['score']) == pytest.approx((0.8 * 0.375, 0.4 * 0.375))
    meta = json.loads((tmp_path / 'out' / 'predictions' / '000000000012.json').read_text())
    assert meta['meta_info']['image_id'] == 12


def test_an_interrupted_run_keeps_its_tables(folder, tmp_path):
    class Once(Middle):
        def __call__(self, image, boxes):
            if (tmp_path / 'out' / 'predictions' / '000000000003.json').exists():
                raise KeyboardInterrupt
            return super().__call__(image, boxes)

    with pytest.raises(KeyboardInterrupt):
        infer(folder, Once(), tmp_path / 'out', detector=Detector(), csv=True, coco=True)
    assert len(json.loads((tmp_path / 'out' / 'coco_results.json').read_text())) == 2
    assert len((tmp_path / 'out' / 'poses.csv').read_text().splitlines()) == 3


def test_a_window_without_a_screen_is_refused(folder, tmp_path, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match='--show needs a screen, and DISPLAY is not set'):
        infer(folder, Middle(), tmp_path / 'out', detector=Detector(), show=True)
