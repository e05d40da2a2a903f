"""Keypoints that a mirror swaps are found by their names."""

import pytest

from okdhp_mm.keypoint_names import find_flip_pairs


@pytest.mark.parametrize(
    ('names', 'pairs'),
    [
        (['nose', 'left_eye', 'right_eye'], [('left_eye', 'right_eye')]),
        (['eyeLeft', 'eyeRight', 'tail'], [('eyeLeft', 'eyeRight')]),
        (['Rightpaw', 'Leftpaw'], [('Leftpaw', 'Rightpaw')]),
        (['L_ear', 'R_ear', 'earL', 'earR'], [('L_ear', 'R_ear'), ('earL', 'earR')]),
        (['hand_l', 'hand_r', 'l-foot', 'r-foot'], [('hand_l', 'hand_r'), ('l-foot', 'r-foot')]),
        (['lwrist', 'rwrist'], [('lwrist', 'rwrist')]),
        (['paw1LH', 'paw2LF', 'paw3RF', 'paw4RH'], [('paw1LH', 'paw4RH'), ('paw2LF', 'paw3RF')]),
        (['L1', 'R1', 'L2', 'R2'], [('L1', 'R1'), ('L2', 'R2')]),
        (['head', 'tail', 'belly', 'Lamp', 'L1', 'R2', 'R3'], []),
        (['left', 'left_eye', 'leftover'], []),
        ([], []),
    ],
)
def test_pairs_are_found_by_their_names(names, pairs):
    assert find_flip_pairs(names) == pairs


def test_coco_has_its_own_pairs():
    parts = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    names = ['nose', *(f'{side}_{part}' for part in parts for side in ('left', 'right'))]
    assert find_flip_pairs(names) == [(f'left_{part}', f'right_{part}') for part in parts]
