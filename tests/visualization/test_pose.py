"""A skeleton over a picture."""

import numpy as np

from okdhp_mm.datasets.synthetic import KEYPOINTS, SKELETON
from okdhp_mm.visualization import draw_pose


def test_a_pose_is_drawn_over_a_copy():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.stack((np.linspace(10, 90, 17), np.full(17, 50.0)), 1)
    drawn = draw_pose(image, keypoints, skeleton=SKELETON, keypoint_names=KEYPOINTS)
    assert not image.any()
    assert drawn.any()


def test_left_and_right_have_their_own_colors():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array([[20.0, 20.0], [80.0, 80.0]])
    names = ('left_wrist', 'right_wrist')
    drawn = draw_pose(image, keypoints, skeleton=(), keypoint_names=names)
    left, right = drawn[20, 20].astype(int), drawn[80, 80].astype(int)
    assert left[2] > left[0]  # orange: more red than blue
    assert right[0] > right[2]


def test_uncertain_keypoints_and_their_limbs_are_left_out():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array([[20.0, 50.0], [80.0, 50.0]])
    style = {'skeleton': ((0, 1),), 'keypoint_names': ('left_a', 'left_b')}
    both = draw_pose(image, keypoints, np.array([0.9, 0.9]), **style)
    one = draw_pose(image, keypoints, np.array([0.9, 0.1]), **style)
    assert both[50, 50].any() and both[50, 80].any()
    assert one[50, 20].any() and not one[50, 50].any() and not one[50, 80].any()


def test_keypoints_whose_names_have_no_side_differ_in_color():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array([[20.0, 20.0], [50.0, 50.0], [80.0, 80.0]])
    drawn = draw_pose(image, keypoints, skeleton=(), keypoint_names=('head', 'back', 'tail'))
    assert len({tuple(drawn[y, x]) for x, y in keypoints.astype(int)}) == 3


def test_keypoints_that_are_too_far_for_opencv_are_left_out():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array([[1e12, -1e12], [50.0, 50.0]])
    style = dict(skeleton=((0, 1),), keypoint_names=('head', 'tail'))
    drawn = draw_pose(image, keypoints, **style)
    assert drawn[50, 50].any() and not drawn[10].any()
