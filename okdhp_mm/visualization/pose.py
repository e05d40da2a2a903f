"""A skeleton over a picture."""

from collections.abc import Sequence

import numpy as np

from .primitives import BLUE, GREEN, ORANGE, WHITE, Color, draw_disc, draw_line


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    skeleton: Sequence[Sequence[int]],
    keypoint_names: Sequence[str],
    threshold: float = 0.3,
) -> np.ndarray:
    """Draws a skeleton over a copy of an image: the person's left orange, right blue.

    Args:
        image: (H, W, 3) uint8, BGR.
        keypoints: (K, 2) pixels.
        scores: (K,), keypoints below `threshold` are left out; None shows all.
        skeleton: pairs of keypoint indices joined by a line.
        keypoint_names: K names; the words 'left' and 'right' choose the color.
        threshold: the least score that is shown.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = image.copy()
    shown = np.ones(len(keypoints), bool) if scores is None else np.asarray(scores) >= threshold
    thickness = max(2, round(min(image.shape[:2]) / 90))
    colors = [_side_color(name) for name in keypoint_names]
    for a, b in skeleton:
        if shown[a] and shown[b]:
            color = colors[a] if colors[a] == colors[b] else GREEN
            draw_line(canvas, keypoints[a], keypoints[b], WHITE, thickness + 2)
            draw_line(canvas, keypoints[a], keypoints[b], color, thickness)
    for point, color in ((keypoints[k], colors[k]) for k in np.flatnonzero(shown)):
        draw_disc(canvas, point, thickness + 1.5, WHITE)
        draw_disc(canvas, point, thickness + 0.3, color)
    return canvas


def _side_color(name: str) -> Color:
    return ORANGE if 'left' in name else BLUE if 'right' in name else GREEN
