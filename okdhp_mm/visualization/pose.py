"""A skeleton over a picture."""

from collections.abc import Sequence

import numpy as np

from .ink import BLUE, GREEN, ORANGE, PAPER, Colour, dot, line


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    skeleton: Sequence[tuple[int, int]],
    keypoint_names: Sequence[str],
    threshold: float = 0.3,
) -> np.ndarray:
    """Draws a skeleton over a copy of an image: the person's left orange, right blue.

    Args:
        image: (H, W, 3) uint8, BGR.
        keypoints: (K, 2) pixels.
        scores: (K,), keypoints below `threshold` are left out; None shows all.
        skeleton: pairs of keypoint indices joined by a line.
        keypoint_names: K names; the words 'left' and 'right' choose the colour.
        threshold: the least score that is shown.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = image.copy()
    shown = np.ones(len(keypoints), bool) if scores is None else np.asarray(scores) >= threshold
    thickness = max(2, round(min(image.shape[:2]) / 90))
    colours = [_side_colour(name) for name in keypoint_names]
    for a, b in skeleton:
        if shown[a] and shown[b]:
            colour = colours[a] if colours[a] == colours[b] else GREEN
            line(canvas, keypoints[a], keypoints[b], PAPER, thickness + 2)
            line(canvas, keypoints[a], keypoints[b], colour, thickness)
    for point, colour in ((keypoints[k], colours[k]) for k in np.flatnonzero(shown)):
        dot(canvas, point, thickness + 1.5, PAPER)
        dot(canvas, point, thickness + 0.3, colour)
    return canvas


def _side_colour(name: str) -> Colour:
    return ORANGE if 'left' in name else BLUE if 'right' in name else GREEN
