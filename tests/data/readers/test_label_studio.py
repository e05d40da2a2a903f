"""JSON exports of Label Studio become COCO JSON."""

import copy
import json

import cv2
import numpy as np
import pytest

from okdhp_mm.data.own_dataset import read_own
from okdhp_mm.errors import UserError

PARENTS = {'p1': 'b1', 'p2': 'b1', 'p3': 'b2'}


def result(kind, value, **extra):
    size = dict(original_width=60, original_height=50, image_rotation=0)
    named = dict(from_name='label', to_name='image', type=kind, origin='manual')
    return size | dict(value=value) | named | extra


def point(name, number, x, y, **extra):
    value = dict(x=x, y=y, width=0.5, keypointlabels=[name])
    return result('keypointlabels', value, id=number, **extra)


def rectangle(number, x, y, width, height, rotation=0):
    size = dict(x=x, y=y, width=width, height=height, rotation=rotation)
    return result('rectanglelabels', size | dict(rectanglelabels=['dog']), id=number)


def task(number, results, image, **annotation):
    entry = dict(id=100 + number, completed_by=1, was_cancelled=False, ground_truth=False)
    entry |= dict(updated_at='2024-03-09T22:16:08.746926Z', lead_time=9.1, result=results)
    return dict(
        id=number,
        annotations=[entry | annotation],
        predictions=[],
        project=3,
        data=dict(image=image),
    )


TWO_DOGS = [
    rectangle('b1', 0, 0, 50, 80),
    rectangle('b2', 50, 20, 50, 60),
    point('nose', 'p1', 10, 20),
    point('tail', 'p2', 40.5, 60),
    point('nose', 'p3', 75, 50),
]
GROUPED = [entry | dict(parentID=PARENTS.get(entry['id'])) for entry in TWO_DOGS]
JOINED = [
    *TWO_DOGS,
    dict(type='relation', from_id='p1', to_id='b1', direction='right'),
    dict(type='relation', from_id='b1', to_id='p2', direction='right'),
    dict(type='relation', from_id='p3', to_id='b2', direction='right'),
]


@pytest.fixture
def read(tmp_path):
    """A reader of exports, with pictures that they name."""
    for name in ('img 1.png', 'sub/img 2.png'):
        file = tmp_path / 'images' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.zeros((50, 60, 3), np.uint8))

    def write_and_read(tasks):
        (tmp_path / 'export.json').write_text(json.dumps(tasks))
        return read_own(tmp_path / 'export.json', tmp_path / 'images')

    return write_and_read


@pytest.mark.parametrize('results', [TWO_DOGS, GROUPED, JOINED])
def test_keypoints_belong_to_their_boxes(read, results):
    """By parent, by relation, or because one box is around the point."""
    dataset = read([task(1, results, '/data/upload/3/0a1b2c3d-img%201.png')])
    assert dataset.category['name'] == 'dog'
    assert dataset.keypoints == ['nose', 'tail']
    assert dataset.pictures == ['img 1.png']
    first, second = dataset.persons
    assert first['keypoints'] == pytest.approx([6, 10, 2, 24.3, 30, 2])
    assert first['bbox'] == pytest.approx([0, 0, 30, 40])
    assert second['keypoints'] == pytest.approx([45, 25, 2, 0, 0, 0])
    assert second['bbox'] == pytest.approx([30, 10, 30, 30])
    assert dataset.notes == ['Label Studio: 2 labeled in 1 of 1 tasks']


def test_without_boxes_a_picture_has_one_animal(read):
    dataset = read([task(1, TWO_DOGS[2:4], '/data/local-files/?d=photos/sub/img%202.png')])
    (animal,) = dataset.persons
    assert animal['num_keypoints'] == 2
    assert dataset.pictures == ['sub/img 2.png']
    assert dataset.notes[1] == '1 boxes were put around the keypoints'


def test_the_last_word_on_a_picture_counts(read):
    """Skipped tasks are left out, and the ground truth or the newest annotation is read."""
    image = 's3://bucket/photos/img 1.png'
    skipped = task(1, [], image, was_cancelled=True)
    several = task(2, TWO_DOGS[2:3], image)
    newer = dict(several['annotations'][0], result=TWO_DOGS[2:4], updated_at='2025-01-01')
    several['annotations'].insert(0, newer)
    dataset = read([skipped, several])
    assert dataset.persons[0]['num_keypoints'] == 2
    assert '1 tasks have several annotations' in dataset.notes[1]
    several['annotations'][1]['ground_truth'] = True
    assert read([skipped, several]).persons[0]['num_keypoints'] == 1


def test_a_rotated_box_is_enclosed(read):
    results = [rectangle('b1', 50, 20, 20, 40, rotation=90), point('nose', 'p1', 30, 40)]
    dataset = read([task(1, results, 'img 1.png')])
    # It turns around its upper left corner, here at (30, 10); the box is 12 wide and 20 high.
    assert dataset.persons[0]['bbox'] == pytest.approx([10, 10, 20, 12])


def change(**values):
    """Return a change of the first keypoint of two dogs."""
    return lambda tasks: tasks[0]['annotations'][0]['result'][2].update(values)


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda tasks: tasks[0].pop('annotations'), "as 'JSON', not as 'JSON-MIN'"),
        (lambda tasks: tasks.insert(0, 7), 'task 0 does not have `data`'),
        (lambda tasks: tasks.clear(), 'no labeled keypoints .* in 0 tasks'),
        (lambda tasks: tasks[0]['annotations'][0].update(result=[3]), '`result` must be a list'),
        (lambda tasks: tasks[0]['data'].update(image='img 9.png'), 'img 9.png, which does not'),
        (lambda tasks: tasks[0]['data'].update(image='text'), '`data` names 0 pictures'),
        (change(original_width=None), '`original_width` or `original_height` is missing'),
        (change(image_rotation=90), 'rotated by 90 degrees'),
        (change(value=dict(y=1, keypointlabels=['nose'])), "'keypointlabels' lacks x or y"),
        (change(value=dict(x=1, y=1)), 'a keypoint has no label'),
        (change(value=dict(x=1, y=99, keypointlabels=['nose'])), "'nose' is in 0 of 2 boxes"),
        (change(value=dict(x=1, y=9, keypointlabels=['tail'])), "'tail' is labeled twice"),
        (
            lambda tasks: tasks[0]['annotations'][0]['result'][0]['value'].update(
                rectanglelabels=['cat']
            ),
            r'2 labels \(cat, dog\)',
        ),
    ],
)
def test_a_wrong_export_is_told(read, spoil, reason):
    tasks = copy.deepcopy([task(1, TWO_DOGS, 'img 1.png')])
    spoil(tasks)
    with pytest.raises(UserError, match=reason):
        read(tasks)
