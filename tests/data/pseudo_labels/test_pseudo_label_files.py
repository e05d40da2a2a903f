"""Files of pseudo-labels: what is read and what is refused."""

import json

import pytest

from okdhp_mm.data.pseudo_labels.files import read_pseudo_labels
from okdhp_mm.errors import UserError


def content(**changes):
    entry = dict(
        id=1,
        image_id=1,
        category_id=1,
        iscrowd=0,
        bbox=[10, 20, 30, 40],
        keypoints=[1.5, 2, 2, 3, 4, 0],
        keypoint_scores=[0.7, 0.2],
    )
    entry |= changes.pop('annotation', {})
    return (
        dict(
            images=[dict(id=1, file_name='sub/a.jpg', width=100, height=80)],
            annotations=[{key: value for key, value in entry.items() if value is not None}],
            categories=[dict(id=1, name='person', keypoints=['nose', 'tail'])],
        )
        | changes
    )


@pytest.fixture
def write(tmp_path):
    (tmp_path / 'photos' / 'sub').mkdir(parents=True)
    (tmp_path / 'photos' / 'sub' / 'a.jpg').write_bytes(b'picture')

    def write(**changes):
        file = tmp_path / 'labels.json'
        file.write_text(json.dumps(content(**changes)))
        return file, [str(tmp_path / 'photos')]

    return write


def test_scores_count_for_labeled_keypoints(write):
    file, folders = write()
    labels = read_pseudo_labels(file, folders)
    assert labels.keypoints == ['nose', 'tail']
    (person,) = labels.persons
    assert person.path == f'{folders[0]}/sub/a.jpg'
    assert person.box.tolist() == [10, 20, 40, 60]
    assert person.points.tolist() == [[1.5, 2, 0.7], [3, 4, 0]]
    assert person.size == (100, 80)


def test_labels_without_scores_are_certain(write):
    (person,) = read_pseudo_labels(*write(annotation=dict(keypoint_scores=None))).persons
    assert person.points[:, 2].tolist() == [1, 0]


def test_the_file_names_the_folder_of_its_pictures(write, tmp_path):
    file, folders = write(info=dict(images=str(tmp_path / 'photos')))
    assert read_pseudo_labels(file, []).persons


@pytest.mark.parametrize(
    'changes, match',
    [
        (dict(annotation=dict(keypoint_scores=[1.0])), 'keypoint_scores` has 1 numbers, not 2'),
        (dict(annotation=dict(keypoint_scores=['a', 'b'])), 'keypoint_scores` is not a list'),
        (dict(annotation=dict(keypoints=[1, 2])), 'has 2 numbers, not 3 each'),
        (dict(categories=[dict(id=1, name='person')]), 'has no list of keypoint names'),
        (dict(images=[]), 'has no person with a box'),
    ],
)
def test_wrong_content_is_refused(write, changes, match):
    with pytest.raises(UserError, match=match):
        read_pseudo_labels(*write(**changes))


def test_pictures_that_are_nowhere_are_refused(write, tmp_path):
    file, _ = write()
    with pytest.raises(UserError, match=r'none of its pictures is found, e\.g\. sub/a\.jpg'):
        read_pseudo_labels(file, [tmp_path / 'empty'])
