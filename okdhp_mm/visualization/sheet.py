"""Many small pictures on one sheet."""

from collections.abc import Sequence

import cv2
import numpy as np

from .primitives import WHITE, draw_outlined_text

CELL = 200
"""Width and height of a cell in pixels."""
COLUMNS = 8
GAP = 4


def contact_sheet(pictures: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    """Return pictures in rows of equal cells, each with a caption, uint8, BGR.

    Args:
        pictures: Pictures, (H, W, 3) uint8, BGR, and their captions; at least one.
    """
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    step = CELL + GAP
    sheet = np.full((rows * step + GAP, columns * step + GAP, 3), WHITE, np.uint8)
    for index, (picture, caption) in enumerate(pictures):
        top, left = (GAP + step * place for place in divmod(index, columns))
        ratio = CELL / max(picture.shape[:2])
        width, height = (max(1, round(side * ratio)) for side in picture.shape[1::-1])
        cell = sheet[top : top + CELL, left : left + CELL]
        y, x = (CELL - height) // 2, (CELL - width) // 2
        kind = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        cell[y : y + height, x : x + width] = cv2.resize(
            picture, (width, height), interpolation=kind
        )
        draw_outlined_text(cell, caption, (5, CELL - 6))
    return sheet
