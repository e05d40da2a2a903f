"""Colors of keypoints tell left from right, or else each keypoint from the others."""

import cv2
import numpy as np
import pytest

from okdhp_mm.visualization import color_legend
from okdhp_mm.visualization.colors import keypoint_colors, line_color
from okdhp_mm.visualization.primitives import BLUE, GREEN, ORANGE


@pytest.mark.parametrize(
    'names', [('nose', 'left_ear', 'right_ear'), ('snout', 'paw1LH', 'paw4RH'), ('a', 'b_l', 'b_r')]
)
def test_names_with_sides_have_the_colors_of_the_sides(names):
    assert keypoint_colors(names) == [GREEN, ORANGE, BLUE]
    assert 'left is orange' in color_legend(names)


@pytest.mark.parametrize('sides', [(), ('left_paw', 'right_paw')])
@pytest.mark.parametrize('count', [1, 7, 17, 80])
def test_keypoints_without_a_side_have_colors_that_differ(count, sides):
    names = (*(f'point {number}' for number in range(count)), *sides)
    colors = np.array([keypoint_colors(names)], np.uint8)
    lab = cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(names))
    least = 20 if count <= 17 else 5
    assert apart.min() > least, 'differences below about 10 are hard to see'
    assert 'color of its own' in color_legend(names)


def test_sides_keep_their_colors_among_other_keypoints():
    names = ('nose', 'pawL', 'tail', 'pawR', 'tip')
    assert keypoint_colors(names)[1::2] == [ORANGE, BLUE]
    assert len({*keypoint_colors(names)}) == 5


def test_a_line_has_the_color_of_its_side_or_of_its_end():
    assert line_color(ORANGE, ORANGE) == ORANGE
    assert line_color(ORANGE, BLUE) == line_color(GREEN, BLUE) == GREEN
    nose = keypoint_colors(('tip', 'nose', 'ear_l', 'ear_r'))[1]
    assert line_color(BLUE, nose) == line_color(nose, BLUE) == nose
    head, tail = keypoint_colors(('head', 'tail'))
    assert line_color(head, tail) == tail
