"""A skeleton over a picture."""

from collections.abc import Sequence

import numpy as np

from .colors import keypoint_colors, line_color
from .primitives import FAR, WHITE, draw_disc, draw_line


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    skeleton: Sequence[Sequence[int]],
    keypoint_names: Sequence[str],
    threshold: float = 0.3,
) -> np.ndarray:
    """Return a copy of an image with a skeleton, in the colors of :mod:`.colors`.

    Args:
        image: (H, W, 3) uint8, BGR.
        keypoints: (K, 2) pixels.
        scores: (K,), keypoints below `threshold` are left out; None shows all.
        skeleton: pairs of keypoint indices joined by a line.
        keypoint_names: K names, which choose the colors.
        threshold: the least score that is shown.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = image.copy()
    shown = (np.abs(keypoints) < FAR).all(axis=-1)
    if scores is not None:
        shown &= np.asarray(scores) >= threshold
    thickness = max(2, round(min(image.shape[:2]) / 90))
    colors = keypoint_colors(tuple(keypoint_names))
    for a, b in skeleton:
        if shown[a] and shown[b]:
            color = line_color(colors[a], colors[b])
            draw_line(canvas, keypoints[a], keypoints[b], WHITE, thickness + 2)
            draw_line(canvas, keypoints[a], keypoints[b], color, thickness)
    for point, color in ((keypoints[k], colors[k]) for k in np.flatnonzero(shown)):
        draw_disc(canvas, point, thickness + 1.5, WHITE)
        draw_disc(canvas, point, thickness + 0.3, color)
    return canvas
