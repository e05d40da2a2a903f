"""Keypoints of a teacher by name."""

import json

import pytest

from okdhp_mm.data.keypoint_mapping import map_keypoints, read_renamed
from okdhp_mm.errors import UserError

OURS = ['nose', 'left_hand', 'tail']
THEIRS = ['left_wrist', 'nose', 'ear']


def test_equal_names_correspond_and_others_are_renamed():
    assert map_keypoints(OURS, THEIRS, {}, 'T') == [1, None, None]
    assert map_keypoints(OURS, THEIRS, {'left_hand': 'left_wrist'}, 'T') == [1, 0, None]


def test_a_keypoint_can_be_left_out():
    assert map_keypoints(OURS, OURS, {'nose': None}, 'T') == [None, 1, 2]


@pytest.mark.parametrize(
    'renamed, match',
    [
        ({'paw': 'nose'}, r"the student has no keypoint 'paw'\. Its keypoints are nose, left_hand"),
        ({'tail': 'paw'}, r"the teacher T has no keypoint 'paw'\. Its keypoints are left_wrist"),
    ],
)
def test_names_that_do_not_exist_are_refused(renamed, match):
    with pytest.raises(UserError, match=match):
        map_keypoints(OURS, THEIRS, renamed, 'T')


def test_another_set_of_keypoints_needs_names():
    with pytest.raises(UserError, match=r'none of the keypoints .* --teacher-keypoints STUDENT'):
        map_keypoints(OURS, ['a', 'b'], {}, 'T')


def test_names_come_from_arguments_or_a_file(tmp_path):
    assert read_renamed(['a=b', 'c=']) == dict(a='b', c=None)
    file = tmp_path / 'names.json'
    file.write_text(json.dumps(dict(a='b', c=None)))
    assert read_renamed([str(file)]) == dict(a='b', c=None)
    assert read_renamed(()) == {}


@pytest.mark.parametrize(
    'given, match',
    [
        (['a=b', 'c'], 'c has no "="'),
        (['nowhere.json'], r'nowhere\.json cannot be read'),
    ],
)
def test_other_forms_are_refused(given, match):
    with pytest.raises(UserError, match=match):
        read_renamed(given)


@pytest.mark.parametrize('content', [[1], {'a': 1}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    file = tmp_path / 'names.json'
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r'names\.json must be an object with names'):
        read_renamed([str(file)])
