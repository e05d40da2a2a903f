"""Canvas with colors and a map of parts, and the convex shapes that are painted on it."""

import cv2
import numpy as np

from .skeleton import Part

# Blue, green, red from 0 to 255.
Color = tuple[float, float, float]

_RING = np.stack([f(np.linspace(0, 2 * np.pi, 20, endpoint=False)) for f in (np.cos, np.sin)], 1)
_FRACTION_BITS = 4  # of OpenCV's drawing functions
_EDGE_SHADE = 0.55


class Canvas:
    """Colors and the map of parts, painted together.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        parts: (H, W) uint8, the `Part` that owns each pixel.
        edge: width of dark edges in pixels.
    """

    def __init__(self, height: int, width: int, edge: int):
        self.image = np.empty((height, width, 3), np.uint8)
        self.parts = np.zeros((height, width), np.uint8)
        self.edge = edge

    def fill(self, polygon: np.ndarray, color: Color, part: Part | None = None) -> None:
        """Fill a convex polygon (N, 2). Without a part, only change the color."""
        points = _fixed_point(polygon)
        cv2.fillConvexPoly(self.image, points, color, cv2.LINE_AA, _FRACTION_BITS)
        if part is not None:
            cv2.fillConvexPoly(self.parts, points, int(part), cv2.LINE_8, _FRACTION_BITS)

    def solid(self, shapes: list[tuple[np.ndarray, Color, Part]]) -> None:
        """Paint polygons with dark edges, all edges first, so that no seam divides a limb."""
        for polygon, color, _ in shapes:
            edge, points = shade(color, _EDGE_SHADE), [_fixed_point(polygon)]
            cv2.polylines(self.image, points, True, edge, self.edge, cv2.LINE_AA, _FRACTION_BITS)
        for polygon, color, part in shapes:
            self.fill(polygon, color, part)

    def line(self, start: np.ndarray, end: np.ndarray, color: Color, thickness: float) -> None:
        """Draw a line between two points (2,) onto the background."""
        first, last = np.rint((start, end)).astype(int).tolist()
        cv2.line(self.image, first, last, color, max(1, round(thickness)), cv2.LINE_AA)


def disc(center: np.ndarray, radius: float) -> np.ndarray:
    """Return the outline (20, 2) of a disc; a third coordinate of its center is ignored."""
    return center[:2] + radius * _RING


def hull(*points: np.ndarray) -> np.ndarray:
    """Return the convex outline (N, 2) of several arrays of points (M, 2)."""
    return cv2.convexHull(np.concatenate(points).astype(np.float32))[:, 0]


def capsule(
    start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float
) -> np.ndarray:
    """Return the convex outline (N, 2) of two discs."""
    return hull(disc(start, start_radius), disc(end, end_radius))


def shade(color: Color, factor: float) -> Color:
    """Return a darker (factor below 1) or lighter color."""
    blue, green, red = (min(255.0, channel * factor) for channel in color)
    return blue, green, red


def sample_color(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Color:
    """Draw a color of any hue within (low, high) of saturation and value, from 0 to 1."""
    hsv = rng.uniform(0, 180), 255 * rng.uniform(*saturation), 255 * rng.uniform(*value)
    pixel = cv2.cvtColor(np.array([[hsv]]).astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    blue, green, red = pixel.tolist()
    return blue, green, red


def _fixed_point(polygon: np.ndarray) -> np.ndarray:
    return np.rint(polygon * (1 << _FRACTION_BITS)).astype(np.int32)
