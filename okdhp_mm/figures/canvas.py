"""Polygons, and the canvas that takes them: colours and the map of parts, painted together."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .look import Colour
from .skeleton import Part

# A circle of radius 1, (20, 2).
RING = np.stack([f(np.linspace(0, 2 * np.pi, 20, endpoint=False)) for f in (np.cos, np.sin)], 1)
_SHIFT = 4  # fractional bits of OpenCV's drawing functions


class Canvas:
    """Colours and the map of parts, painted together.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        parts: (H, W) uint8, the `Part` that owns each pixel.
    """

    def __init__(self, height: int, width: int):
        self.image = np.empty((height, width, 3), np.uint8)
        self.parts = np.zeros((height, width), np.uint8)

    def fill(self, polygon: np.ndarray, colour: Colour, part: Part | None = None) -> None:
        """Fills a convex polygon (N, 2); without a part it only colours what is there."""
        points = _fixed(polygon)
        cv2.fillConvexPoly(self.image, points, colour, cv2.LINE_AA, _SHIFT)
        if part is not None:
            cv2.fillConvexPoly(self.parts, points, int(part), cv2.LINE_8, _SHIFT)

    def outline(self, polygon: np.ndarray, colour: Colour, thickness: int) -> None:
        """Draws the edges of a polygon (N, 2)."""
        cv2.polylines(self.image, [_fixed(polygon)], True, colour, thickness, cv2.LINE_AA, _SHIFT)

    def stroke(self, start: ArrayLike, end: ArrayLike, colour: Colour, thickness: float) -> None:
        """Draws a line between two points (2,) onto the background."""
        ends = np.rint((start, end)).astype(int).tolist()
        cv2.line(self.image, *ends, colour, max(1, round(thickness)), cv2.LINE_AA)


def disc(centre: np.ndarray, radius: float) -> np.ndarray:
    """The outline (20, 2) of a disc; a third coordinate of its centre is ignored."""
    return centre[:2] + radius * RING


def hull(*points: np.ndarray) -> np.ndarray:
    """The convex outline (N, 2) of several arrays of points (M, 2)."""
    return cv2.convexHull(np.concatenate(points).astype(np.float32))[:, 0]


def capsule(
    start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float
) -> np.ndarray:
    """The convex outline (N, 2) of two discs."""
    return hull(disc(start, start_radius), disc(end, end_radius))


def _fixed(polygon: np.ndarray) -> np.ndarray:
    return np.rint(polygon * (1 << _SHIFT)).astype(np.int32)
