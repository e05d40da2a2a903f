"""Pictures of results: predicted skeletons, heatmaps of every branch, bars of scores.

Pure functions from arrays to BGR images; nothing here knows about networks.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from .figures import KEYPOINTS, SKELETON

Colour = tuple[int, int, int]

_INK: Colour = (50, 45, 45)
_FAINT: Colour = (150, 145, 145)
_PAPER: Colour = (255, 255, 255)
_LEFT: Colour = (40, 120, 255)  # orange
_RIGHT: Colour = (240, 150, 30)  # blue
_MIDDLE: Colour = (90, 200, 70)  # green
_FONT = cv2.FONT_HERSHEY_DUPLEX
_GAP = 8
_TEXT_HEIGHT = 22


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    threshold: float = 0.3,
    skeleton: Sequence[tuple[int, int]] = SKELETON,
    keypoint_names: Sequence[str] = KEYPOINTS,
) -> np.ndarray:
    """Draws a skeleton over a copy of an image: the person's left orange, right blue.

    Args:
        image: (H, W, 3) uint8, BGR.
        keypoints: (K, 2) pixels.
        scores: (K,), keypoints below `threshold` are left out; None shows all.
        threshold: the least score that is shown.
        skeleton: pairs of keypoint indices joined by a line.
        keypoint_names: K names; the words 'left' and 'right' choose the colour.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = image.copy()
    shown = np.ones(len(keypoints), bool) if scores is None else np.asarray(scores) >= threshold
    thickness = max(2, round(min(image.shape[:2]) / 90))
    colours = [_side_colour(name) for name in keypoint_names]
    for a, b in skeleton:
        if shown[a] and shown[b]:
            colour = colours[a] if colours[a] == colours[b] else _MIDDLE
            _line(canvas, keypoints[a], keypoints[b], _PAPER, thickness + 2)
            _line(canvas, keypoints[a], keypoints[b], colour, thickness)
    for point, colour in ((keypoints[k], colours[k]) for k in np.flatnonzero(shown)):
        _dot(canvas, point, thickness + 1.5, _PAPER)
        _dot(canvas, point, thickness + 0.3, colour)
    return canvas


def prediction_sheet(
    images: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    visibility: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    *,
    columns: int = 4,
    height: int = 220,
    threshold: float = 0.3,
    skeleton: Sequence[tuple[int, int]] = SKELETON,
    keypoint_names: Sequence[str] = KEYPOINTS,
) -> np.ndarray:
    """A grid of figures, each as a pair: the truth beside the prediction.

    Args:
        images: N images (H, W, 3) uint8, BGR, of any size.
        ground_truth: N arrays (K, 2), pixels of the image.
        visibility: N arrays (K,), COCO flags; keypoints of flag 0 are not drawn.
        keypoints: N arrays (K, 2), predicted, pixels of the image.
        scores: N arrays (K,), confidence of the prediction.
        columns: pairs in a row.
        height: of each image on the sheet, in pixels.
        threshold: the least score that is shown.
        skeleton: pairs of keypoint indices joined by a line.
        keypoint_names: K names; the words 'left' and 'right' choose the colour.

    Returns:
        The sheet, uint8, BGR.
    """
    style = {'skeleton': skeleton, 'keypoint_names': keypoint_names}
    pairs = []
    for image, truth, flags, points, confidence in zip(
        images, ground_truth, visibility, keypoints, scores, strict=True
    ):
        zoom = height / image.shape[0]
        large = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        left = draw_pose(large, _zoomed(truth, zoom), flags, threshold=1, **style)
        right = draw_pose(large, _zoomed(points, zoom), confidence, threshold=threshold, **style)
        gap = np.full((large.shape[0], 2, 3), _PAPER, np.uint8)
        pairs.append(_captioned(np.hstack((left, gap, right)), ('truth', 'prediction')))
    return _grid(pairs, columns)


def heatmap_strip(
    image: np.ndarray,
    branch_heatmaps: np.ndarray,
    ensemble: np.ndarray,
    target: np.ndarray,
    keypoint_indices: Sequence[int],
    keypoint_names: Sequence[str] = KEYPOINTS,
    *,
    width: int = 1000,
) -> np.ndarray:
    """One figure's heatmaps: a row per keypoint; every branch, the ensemble and the target.

    Colours mean the same all along a row: its scale runs from 0 to the greatest value in it. The
    number in a corner is the greatest value of that heatmap, and the ring is where it is.

    Args:
        image: (H, W, 3) uint8, BGR: the crop that the heatmaps cover.
        branch_heatmaps: (M, K, h, w).
        ensemble: (K, h, w).
        target: (K, h, w).
        keypoint_indices: the keypoints to show.
        keypoint_names: K names.
        width: of the picture in pixels, about.

    Returns:
        The picture, uint8, BGR.
    """
    columns = [*branch_heatmaps, ensemble, target]
    titles = [f'branch {m}' for m in range(len(branch_heatmaps))] + ['ensemble', 'target']
    gutter = 24 + max(_text_width(_words(keypoint_names[k])) for k in keypoint_indices)
    cell_width = (width - gutter - _GAP * (len(columns) + 1)) // len(columns)
    cell_height = round(cell_width * image.shape[0] / image.shape[1])
    cell = cv2.resize(image, (cell_width, cell_height), interpolation=cv2.INTER_CUBIC)

    sheet_height = _TEXT_HEIGHT + _GAP + (cell_height + _GAP) * len(keypoint_indices)
    sheet = np.full((sheet_height, width, 3), _PAPER, np.uint8)
    left_edges = [gutter + _GAP + (cell_width + _GAP) * c for c in range(len(columns))]
    for x, title in zip(left_edges, titles, strict=True):
        _text(sheet, title, (x + cell_width // 2, _TEXT_HEIGHT - 5), centred=True)
    for row, k in enumerate(keypoint_indices):
        y = _TEXT_HEIGHT + _GAP // 2 + row * (cell_height + _GAP)
        _text(sheet, _words(keypoint_names[k]), (12, y + cell_height // 2))
        scale = max(float(heatmaps[k].max()) for heatmaps in columns)
        for x, heatmaps in zip(left_edges, columns, strict=True):
            blended = _blend_heatmap(cell, heatmaps[k], scale)
            sheet[y : y + cell_height, x : x + cell_width] = blended
    return sheet


def score_bars(
    scores: Mapping[str, float], *, width: int = 480, limit: float | None = None
) -> np.ndarray:
    """Horizontal bars, one per named score.

    Args:
        scores: name -> value of at least 0.
        width: of the picture in pixels.
        limit: the value of a full bar; None takes the greatest score.

    Returns:
        The picture, uint8, BGR.
    """
    full = limit or max(scores.values()) or 1.0
    gutter = 24 + max(_text_width(name) for name in scores)
    room = width - gutter - 70
    sheet = np.full((_GAP + 30 * len(scores), width, 3), _PAPER, np.uint8)
    for row, (name, score) in enumerate(scores.items()):
        y = _GAP + 30 * row
        end = gutter + round(room * min(score / full, 1.0))
        _text(sheet, name, (12, y + 16))
        cv2.rectangle(sheet, (gutter, y), (gutter + room, y + 20), (238, 236, 236), -1)
        cv2.rectangle(sheet, (gutter, y), (end, y + 20), _RIGHT, -1)
        _text(sheet, f'{score:.3f}', (gutter + room + 8, y + 16))
    return sheet


def _blend_heatmap(image: np.ndarray, heatmap: np.ndarray, scale: float) -> np.ndarray:
    """Lays a heatmap over a pale copy of the image; the stronger, the more opaque."""
    height, width = image.shape[:2]
    share = np.clip(np.asarray(heatmap, np.float32) / max(scale, 1e-6), 0, 1)
    share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    pale = 0.55 * image + 0.25 * grey + 0.2 * 255
    # Opaque early: turbo's dark blue end would otherwise dirty the whole picture.
    alpha = np.minimum(1.0, 1.6 * share)[..., None] * 0.85
    blended = np.rint((1 - alpha) * pale + alpha * colours).astype(np.uint8)
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    step = np.array([width / heatmap.shape[1], height / heatmap.shape[0]])
    peak = (np.array([column, row]) + 0.5) * step
    _ring(blended, peak, max(4.0, width / 30), _PAPER)
    _text(blended, f'{float(np.max(heatmap)):.2f}', (5, height - 6), _INK)
    return blended


def _grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of different widths in rows; every column as wide as its widest tile."""
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    widths = [max(row[c].shape[1] for row in rows if c < len(row)) for c in range(len(rows[0]))]
    tile_height = tiles[0].shape[0]
    shape = ((tile_height + _GAP) * len(rows) + _GAP, sum(widths) + _GAP * (len(widths) + 1), 3)
    sheet = np.full(shape, _PAPER, np.uint8)
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            y = _GAP + r * (tile_height + _GAP)
            x = _GAP * (c + 1) + sum(widths[:c]) + (widths[c] - tile.shape[1]) // 2
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _captioned(tile: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Adds a line of evenly spread captions below a tile."""
    strip = np.full((_TEXT_HEIGHT, tile.shape[1], 3), _PAPER, np.uint8)
    for i, caption in enumerate(captions):
        middle = round((i + 0.5) * tile.shape[1] / len(captions))
        _text(strip, caption, (middle, _TEXT_HEIGHT - 7), _FAINT, centred=True)
    return np.vstack((tile, strip))


def _side_colour(name: str) -> Colour:
    return _LEFT if 'left' in name else _RIGHT if 'right' in name else _MIDDLE


def _words(name: str) -> str:
    return name.replace('_', ' ')


def _zoomed(points: np.ndarray, zoom: float) -> np.ndarray:
    """Pixel coordinates after a resize; a pixel's number is its middle, hence the halves."""
    return (np.asarray(points, float) + 0.5) * zoom - 0.5


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates with 4 fractional bits."""
    x, y = np.rint(np.asarray(point) * 16).astype(int)
    return int(x), int(y)


def _line(canvas: np.ndarray, start, end, colour: Colour, thickness: int) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), colour, thickness, cv2.LINE_AA, 4)


def _dot(canvas: np.ndarray, point, radius: float, colour: Colour) -> None:
    # OpenCV's own small discs come out as diamonds.
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    outline = np.asarray(point) + radius * np.stack((np.cos(angles), np.sin(angles)), 1)
    cv2.fillConvexPoly(canvas, np.rint(outline * 16).astype(np.int32), colour, cv2.LINE_AA, 4)


def _ring(canvas: np.ndarray, point, radius: float, colour: Colour) -> None:
    cv2.circle(canvas, _fixed(point), round(radius * 16), _INK, 2, cv2.LINE_AA, 4)
    cv2.circle(canvas, _fixed(point), round(radius * 16), colour, 1, cv2.LINE_AA, 4)


def _text_width(text: str) -> int:
    return cv2.getTextSize(text, _FONT, 0.45, 1)[0][0]


def _text(canvas, text: str, corner: tuple[int, int], colour=_INK, centred: bool = False) -> None:
    x = corner[0] - _text_width(text) // 2 if centred else corner[0]
    cv2.putText(canvas, text, (x, corner[1]), _FONT, 0.45, colour, 1, cv2.LINE_AA)
