"""Pictures of results: predicted skeletons, bars of scores.

Pure functions from arrays to BGR images; nothing here knows about networks.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import cv2
import numpy as np

from ..datasets.synthetic import KEYPOINTS, SKELETON
from ..visualization import draw_pose
from ..visualization.primitives import BLUE, GAP, GRAY, TEXT_HEIGHT, WHITE, draw_text, text_width

BARS_WIDTH = 480
"""Width of the bar chart in pixels."""


def prediction_sheet(
    images: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    visibility: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    *,
    columns: int = 4,
    height: int = 220,
) -> np.ndarray:
    """Return a grid of figures, each as a pair: the truth and the prediction.

    Args:
        images: N images (H, W, 3) uint8, BGR, of any size.
        ground_truth: N arrays (K, 2), pixels of the image.
        visibility: N arrays (K,), COCO flags; keypoints of flag 0 are not drawn.
        keypoints: N arrays (K, 2), predicted, pixels of the image.
        scores: N arrays (K,), confidence of the prediction.
        columns: pairs in a row.
        height: of each image on the sheet, in pixels.

    Returns:
        The sheet, uint8, BGR.
    """
    draw = partial(draw_pose, skeleton=SKELETON, keypoint_names=KEYPOINTS)
    pairs = []
    for image, truth, flags, points, confidence in zip(
        images, ground_truth, visibility, keypoints, scores, strict=True
    ):
        zoom = height / image.shape[0]
        large = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        left = draw(large, _zoomed(truth, zoom), flags, threshold=1)
        right = draw(large, _zoomed(points, zoom), confidence)
        gap = np.full((large.shape[0], 2, 3), WHITE, np.uint8)
        pairs.append(_captioned(np.hstack((left, gap, right)), ('truth', 'prediction')))
    return _grid(pairs, columns)


def score_bars(scores: Mapping[str, float]) -> np.ndarray:
    """Draw a horizontal bar for each score.

    Args:
        scores: name -> value from 0 to 1.

    Returns:
        The picture, uint8, BGR.
    """
    gutter = 24 + max(text_width(name) for name in scores)
    room = BARS_WIDTH - gutter - 70
    sheet = np.full((GAP + 30 * len(scores), BARS_WIDTH, 3), WHITE, np.uint8)
    for row, (name, score) in enumerate(scores.items()):
        y = GAP + 30 * row
        end = gutter + round(room * score)
        draw_text(sheet, name, (12, y + 16))
        cv2.rectangle(sheet, (gutter, y), (gutter + room, y + 20), (238, 236, 236), -1)
        cv2.rectangle(sheet, (gutter, y), (end, y + 20), BLUE, -1)
        draw_text(sheet, f'{score:.3f}', (gutter + room + 8, y + 16))
    return sheet


def _grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Arrange tiles in rows. Every column is as wide as its widest tile."""
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    widths = [max(row[c].shape[1] for row in rows if c < len(row)) for c in range(len(rows[0]))]
    tile_height = tiles[0].shape[0]
    shape = ((tile_height + GAP) * len(rows) + GAP, sum(widths) + GAP * (len(widths) + 1), 3)
    sheet = np.full(shape, WHITE, np.uint8)
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            y = GAP + r * (tile_height + GAP)
            x = GAP * (c + 1) + sum(widths[:c]) + (widths[c] - tile.shape[1]) // 2
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _captioned(tile: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Add a line of evenly spread captions below a tile."""
    strip = np.full((TEXT_HEIGHT, tile.shape[1], 3), WHITE, np.uint8)
    for i, caption in enumerate(captions):
        middle = round((i + 0.5) * tile.shape[1] / len(captions))
        draw_text(strip, caption, (middle, TEXT_HEIGHT - 7), GRAY, centered=True)
    return np.vstack((tile, strip))


def _zoomed(points: np.ndarray, zoom: float) -> np.ndarray:
    """Return pixel coordinates after a resize; a pixel's number is its middle."""
    return (np.asarray(points, float) + 0.5) * zoom - 0.5
