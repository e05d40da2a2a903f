"""Own annotations are completed, which is told, and split by picture."""

import copy
import json

import numpy as np
import pytest
from drawn_players import NAMES, several_persons, write_pictures

from okdhp_mm.data.own_dataset import check_same_keypoints, read_own, split_by_image
from okdhp_mm.errors import UserError

ANNOTATIONS = several_persons()['annotations']


@pytest.fixture
def read(tmp_path):
    """A reader of content that a test has changed."""
    content = several_persons()
    write_pictures(tmp_path / 'images', content)

    def write_and_read(change=lambda content: None):
        changed = copy.deepcopy(content)
        change(changed)
        file = tmp_path / 'own.json'
        file.write_text(json.dumps(changed))
        return read_own(file, tmp_path / 'images')

    return write_and_read


def test_a_complete_file_is_used_as_it_is(read):
    dataset = read()
    assert dataset.notes == []
    assert not dataset.changed
    assert len(dataset.persons) == 15
    assert dataset.keypoints == NAMES
    assert dataset.skeleton == [('head', 'hip'), ('hand_l', 'head')]
    assert dataset.flip_pairs == [('hand_l', 'hand_r'), ('foot_l', 'foot_r')]


def remove(kind, *fields):
    def change(content):
        for entry in content[kind]:
            for field in fields:
                del entry[field]

    return change


@pytest.mark.parametrize(
    ('change', 'note'),
    [
        (remove('annotations', 'area'), '15 areas were computed as width * height of the box'),
        (remove('annotations', 'bbox'), '15 boxes were put around the keypoints'),
        (remove('annotations', 'iscrowd'), '15 annotations lacked iscrowd or num_keypoints'),
        (remove('images', 'width'), 'width and height of 5 pictures were read'),
    ],
)
def test_what_is_missing_is_added_and_told(read, change, note):
    dataset = read(change)
    (told,) = dataset.notes
    assert note in told
    assert dataset.changed
    assert all(image['width'] == 120 for image in dataset.content['images'])
    for entry in dataset.content['annotations']:
        x, y, width, height = entry['bbox']
        points = np.reshape(entry['keypoints'], (-1, 3))[:, :2]
        assert (points >= (x, y)).all()
        assert (points <= (x + width, y + height)).all()
        assert entry['area'] > 0
        assert entry['iscrowd'] == 0


def test_an_export_of_cvat_is_completed(read):
    """It has a category for every label and every point, and empty boxes around single points."""

    def export(content):
        for number, name in enumerate([*NAMES, 'ground'], start=5):
            extra = dict(id=number, name=name, supercategory='player', keypoints=[], skeleton=[])
            content['categories'].append(extra)
        boxes = [dict(entry, id=50 + entry['id'], category_id=12) for entry in ANNOTATIONS[:2]]
        content['annotations'][2]['keypoints'][3:] = [0] * 18
        content['annotations'][2] |= dict(bbox=[30.0, 20.0, 0.0, 0.0], area=0.0, attributes={})
        content['annotations'][3]['keypoints'][2::3] = [0, 1, 2, 2, 2, 2, 2]
        content['annotations'] += boxes

    dataset = read(export)
    assert len(dataset.persons) == 15
    assert [entry['name'] for entry in dataset.content['categories']] == ['player']
    assert min(dataset.persons[2]['bbox'][2:]) > 0
    assert dataset.persons[2]['area'] > 0
    told = ' '.join(dataset.notes)
    for note in ('left out: head, hand_l', 'foot_r, ball, ground', '1 boxes were put', '1 areas'):
        assert note in told


@pytest.mark.parametrize('prefix', ['images/', 'images\\', '/home/me/project/images/'])
def test_pictures_are_found_by_the_last_parts_of_their_names(read, prefix):
    """Label Studio's COCO export names them from the folder above."""

    def rename(content):
        for image in content['images']:
            image['file_name'] = prefix + image['file_name']

    dataset = read(rename)
    assert dataset.pictures[0] == 'img 1.png'
    (note,) = dataset.notes
    assert '5 names of pictures were shortened' in note


def test_an_export_without_keypoints_is_told(read):
    """Label Studio exports boxes only if the project has no `model_index`."""

    def export(content):
        content['categories'] = [dict(id=0, name='player'), dict(id=1, name='ball')]

    with pytest.raises(UserError, match=r'2 categories \(player, ball\)'):
        read(export)


def test_the_split_is_by_picture_and_always_the_same(read):
    dataset = read()
    train, val = split_by_image(dataset)
    assert (len(train.pictures), len(val.pictures)) == (4, 1)
    assert len(train.persons) == 12
    assert not set(train.pictures) & set(val.pictures)
    assert split_by_image(dataset)[1].pictures == val.pictures
    assert train.changed


def categories(change):
    return lambda content: change(content['categories'])


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (categories(lambda c: c[0].pop('keypoints')), 'has no list of keypoint names'),
        (
            categories(lambda c: c.append(dict(id=5, name='ball', keypoints=['center']))),
            r'2 categories \(player, ball\)',
        ),
        (categories(lambda c: c.clear()), r'0 categories \(none\)'),
        (categories(lambda c: c[0].update(keypoints=['a', 'a'])), "'a' is used twice"),
        (categories(lambda c: c[0].update(skeleton=[[0, 1]])), r'the entry \[0, 1\]'),
        (categories(lambda c: c[0].update(skeleton=[[1, 8]])), r'the entry \[1, 8\]'),
        (categories(lambda c: c[0]['keypoints'].pop()), 'has 7 keypoints, but the metainfo has 6'),
        (lambda content: content.pop('categories'), '`categories` is missing'),
        (lambda content: content['annotations'].clear(), 'no person'),
        (lambda content: content['annotations'][3].update(bbox=[1, 2]), r'annotation 4 .*bbox'),
    ],
)
def test_a_file_that_cannot_be_used_is_told(read, change, reason):
    with pytest.raises(UserError, match=reason):
        read(change)


def test_a_file_without_a_labeled_keypoint_is_told(read):
    def unlabel(content):
        for entry in content['annotations']:
            entry['keypoints'][2::3] = [0] * 7

    with pytest.raises(UserError, match='no labeled person'):
        read(unlabel)


def test_one_picture_cannot_be_split(read):
    def keep_one(content):
        content['annotations'] = content['annotations'][:3]

    with pytest.raises(UserError, match='1 picture with labeled persons'):
        split_by_image(read(keep_one))


def test_both_files_need_the_same_keypoints_and_other_pictures(read):
    train = read()
    with pytest.raises(UserError, match='5 pictures are in both'):
        check_same_keypoints(train, train, False)
    check_same_keypoints(train, train, True)
    other = read(categories(lambda c: c[0]['keypoints'].reverse()))
    with pytest.raises(UserError, match="Keypoint 1 is 'head' in .*, but 'ball' in"):
        check_same_keypoints(train, other, True)


def test_missing_files_are_told(tmp_path):
    with pytest.raises(UserError, match='pictures .*none does not exist'):
        read_own(tmp_path / 'own.json', tmp_path / 'none')
    with pytest.raises(UserError, match=r'annotations .*own.json do not exist'):
        read_own(tmp_path / 'own.json', tmp_path)
