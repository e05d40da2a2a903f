"""Boxes around persons from a file: how wrong ones are refused."""

import pytest

from okdhp_mm.deploy.inference.boxes import per_frame, read_boxes
from okdhp_mm.errors import UserError


@pytest.mark.parametrize(
    'text, match',
    [
        ('{', 'is not complete JSON'),
        ('[1]', 'holds a list; write'),
        ('{"a.jpg": [[1, 2, 3]]}', r'has \[1, 2, 3\] for a.jpg; write'),
        ('{"a.jpg": [[9, 2, 3, 4]]}', 'with finite numbers, x1 < x2'),
        ('{"a.jpg": [["1", 2, 3, 4]]}', 'for a.jpg'),
        ('{"a.jpg": 3}', 'has 3 for'),
        ('{"a.jpg": [[1, 2, Infinity, 4]]}', 'for a.jpg; write .* finite numbers'),
        ('{"a.jpg": [[1, 2, 1e999, 4]]}', 'for a.jpg'),
        ('{"a.jpg": [[NaN, 2, 3, 4]]}', 'for a.jpg'),
        ('{"a.jpg": [[true, 2, 3, 4]]}', 'for a.jpg'),
        ('{"a.mp4": [[[1, 2, 3, 4]], [[1, 2]]]}', r'has \[\[1, 2\]\] for a.mp4'),
        (f'{{"a.mp4": [[{"[4, 2, 3, 4], " * 99}[4]]]}}', r'has \[\[4, 2, .{,190} \.\.\. for a.mp4'),
        ('{"a.mp4": [[[1, 2, 3, 4]], [1, 2, 3, 4]]}', 'for a.mp4'),
        ('[' * 5000, 'is nested too deeply'),
    ],
)
def test_boxes_that_are_none_are_refused(tmp_path, text, match):
    file = tmp_path / 'boxes.json'
    file.write_text(text)
    with pytest.raises(UserError, match=match):
        read_boxes(file)


def test_a_missing_file_of_boxes_is_refused(tmp_path):
    with pytest.raises(UserError, match=r'boxes\.json cannot be read: No such file'):
        read_boxes(tmp_path / 'boxes.json')


def test_lists_for_each_frame_are_told_from_boxes(tmp_path):
    file = tmp_path / 'boxes.json'
    file.write_text('{"a.jpg": [], "b.jpg": [[1, 2, 3, 4]], "c.mp4": [[], [[1, 2, 3, 4.5]]]}')
    boxes = read_boxes(file)
    assert [per_frame(boxes[name]) for name in boxes] == [False, False, True]
