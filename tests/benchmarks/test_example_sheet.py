"""The sheet of examples."""

import numpy as np
from example_sheet import GAP, WHITE, grid


def test_pictures_are_put_into_rows():
    pictures = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = grid(pictures, columns=2)
    assert sheet.shape == (2 * (4 + 2 * GAP), 2 * (6 + 2 * GAP), 3)
    assert sheet[GAP, GAP, 0] == 10
    assert sheet[GAP, -GAP - 1, 0] == 20
    assert sheet[-GAP - 1, GAP, 0] == 30
    assert (sheet[-GAP - 1, -GAP - 1] == WHITE).all()  # no fourth picture
