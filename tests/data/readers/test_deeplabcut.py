"""Tables of DeepLabCut and Lightning Pose become COCO JSON."""

import cv2
import numpy as np
import pytest

from okdhp_mm.data.readers import read_table
from okdhp_mm.errors import UserError

SINGLE = """scorer,me,me,me,me
bodyparts,nose,nose,tail,tail
coords,x,y,x,y
labeled-data/video/img1.png,1.5,2,30,40
labeled-data/video/img2.png,,,31,41
labeled-data/video/img3.png,,,,
"""
NEW_LAYOUT = """scorer,,,me,me,me,me
bodyparts,,,nose,nose,tail,tail
coords,,,x,y,x,y
labeled-data,video,img1.png,1.5,2,30,40
labeled-data,video,img2.png,,,31,41
"""
SEVERAL = """scorer,me,me,me,me
individuals,a,a,b,b
bodyparts,nose,nose,nose,nose
coords,x,y,x,y
img1.png,1,2,30,40
img2.png,nan,nan,31,41
"""
LIKELIHOOD = """scorer,me,me,me
bodyparts,nose,nose,nose
coords,x,y,likelihood
img1.png,1.5,2,0.9
"""


@pytest.fixture
def table(tmp_path):
    """A writer of tables, with pictures that they name."""
    (tmp_path / 'images').mkdir()
    for index in (1, 2, 3):
        picture = np.zeros((50, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / 'images' / f'img{index}.png'), picture)

    def write(text):
        (tmp_path / 'labels.csv').write_text(text)
        return tmp_path / 'labels.csv', tmp_path / 'images'

    return write


@pytest.mark.parametrize('text', [SINGLE, NEW_LAYOUT, SINGLE.replace('/', '\\')])
def test_a_table_of_one_animal_has_the_picture_as_box(table, text):
    content, note = read_table(*table(text))
    assert 'complete picture' in note
    assert content['categories'][0]['keypoints'] == ['nose', 'tail']
    assert [image['file_name'] for image in content['images']] == ['img1.png', 'img2.png']
    first, second = content['annotations']
    assert first['keypoints'] == [1.5, 2, 2, 30, 40, 2]
    assert second['keypoints'] == [0, 0, 0, 31, 41, 2]
    assert second['num_keypoints'] == 1
    assert first['bbox'] == [0, 0, 60, 50]
    assert first['area'] == 3000


def test_a_table_of_several_animals_has_no_boxes(table):
    content, note = read_table(*table(SEVERAL))
    assert '2 individuals' in note
    assert [entry['image_id'] for entry in content['annotations']] == [1, 1, 2]
    assert content['annotations'][1]['keypoints'] == [30, 40, 2]
    assert all('bbox' not in entry for entry in content['annotations'])


def test_a_likelihood_is_left_out(table):
    content, _ = read_table(*table(LIKELIHOOD))
    assert content['annotations'][0]['keypoints'] == [1.5, 2, 2]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a,b\n1,2\n', 'is not a table of DeepLabCut'),
        (SINGLE.replace('1.5', 'one'), "'labeled-data/video/img1.png' has 'one' as a coordinate"),
        (SINGLE.replace('1.5', 'inf'), 'infinite coordinate'),
        (SINGLE.replace('img2', 'img9'), r'img9.png, which does not exist in .*images'),
        (SINGLE.replace('31,41', '31'), "img2.png' has 4 columns instead of 5"),
        (SINGLE.replace('coords,x,y', 'coords,x,z'), "'nose' has no columns 'x' and 'y'"),
        (SINGLE.partition('labeled')[0], 'has 2 bodyparts and 0 pictures'),
    ],
)
def test_a_wrong_table_is_told(table, text, reason):
    with pytest.raises(UserError, match=reason):
        read_table(*table(text))


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(UserError, match=r'none.csv does not exist'):
        read_table(tmp_path / 'none.csv', tmp_path)
