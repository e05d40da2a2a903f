"""One picture of one person with true labels."""

from dataclasses import dataclass

import cv2
import numpy as np

from .body import Body, sample_body
from .canvas import Canvas, capsule, disc, sample_color, shade
from .painter import Painter, sample_appearance
from .skeleton import KEYPOINTS, SIDES, Part, visibility_of

# Of the image in pixels; its width follows the pose (0.66 to 1 of the height).
_HEIGHT = 176
# Figures are painted at twice the size and then shrunk: smooth edges at little cost.
_OVERSAMPLE = 2


@dataclass(frozen=True)
class Figure:
    """One picture of one person with true labels.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        keypoints: (17, 2) float, x and y in pixels, also where hidden or outside of the image.
        visibility: (17,) int: 2 visible, 1 hidden by the body or by an object, 0 outside.
        bbox: (4,) float, x, y, width, height of the silhouette inside the image, as if nothing
            stood in front of the person.
        parts: (H, W) uint8, the `Part` that owns each pixel.
        silhouette: (H, W) bool, the person's pixels as if nothing stood in front.
    """

    image: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    bbox: np.ndarray
    parts: np.ndarray
    silhouette: np.ndarray


def draw_figure(rng: np.random.Generator) -> Figure:
    """Draw one person doing something somewhere.

    Args:
        rng: the only source of chance: equal generators give equal figures.

    Returns:
        The picture and its true labels.
    """
    body, look = sample_body(rng), sample_appearance(rng)
    points, turned_away = body.keypoints()
    width, scale, origin = _frame(body, points, rng)
    scale, origin = scale * _OVERSAMPLE, origin * _OVERSAMPLE
    edge = 2 * max(1, round(scale / 130))
    canvas = Canvas(_HEIGHT * _OVERSAMPLE, width * _OVERSAMPLE, edge)
    painter = Painter(body, look, canvas, scale, origin)

    _paint_background(canvas, rng)
    painter.paint()
    silhouette = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE] > 0
    if rng.random() < 0.25:
        _paint_occluders(canvas, rng, painter.joints, scale)

    image = cv2.resize(canvas.image, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    parts = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE].copy()
    # A pixel's number is its middle, so half a pixel is added when the picture shrinks.
    keypoints = (painter.project(points)[:, :2] + 0.5) / _OVERSAMPLE - 0.5
    return Figure(
        image=_expose(image, rng),
        keypoints=keypoints,
        visibility=visibility_of(parts, keypoints, turned_away),
        bbox=np.array(cv2.boundingRect(silhouette.astype(np.uint8)), float),
        parts=parts,
        silhouette=silhouette,
    )


def _frame(
    body: Body, points: np.ndarray, rng: np.random.Generator
) -> tuple[int, float, np.ndarray]:
    """Choose the picture's width, pixels per unit of body height, and the pelvis's place (3,)."""
    ends = [body.joints[f'{side}_{end}'] for side in SIDES for end in ('hand', 'toe', 'heel')]
    extent = np.concatenate((points, ends))[:, :2] * (1, -1)
    low, high = extent.min(0) - (0.05, 0.09), extent.max(0) + (0.05, 0.04)
    size = high - low
    width = int(_HEIGHT * np.clip(1.05 * size[0] / size[1], 0.66, 1.0))
    scale = rng.uniform(0.72, 0.95) * min(width / size[0], _HEIGHT / size[1])
    # At times the person comes too close, and the border of the image cuts the figure.
    close = rng.random() < 0.14
    if close:
        scale *= rng.uniform(1.2, 1.5)
    free = (width, _HEIGHT) - scale * size
    corner = free * (rng.uniform(0.0, 1.0, 2) if close else rng.uniform(0.15, 0.85, 2))
    return width, scale, np.array([*(corner - scale * low), 0.0])


def _paint_background(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a gradient, and shapes and lines that are not a person."""
    height, width = canvas.image.shape[:2]
    top, bottom = (np.array(sample_color(rng, (0, 0.32), (0.5, 1.0))) for _ in range(2))
    slope = np.linspace(0, 1, height)[:, None, None]
    canvas.image[:] = (1 - slope) * top + slope * bottom
    for _ in range(rng.integers(0, 7)):
        center = rng.uniform((0, 0), (width, height))
        _paint_shape(canvas, rng, center, 0.22 * height, Part.BACKGROUND)
    for _ in range(rng.integers(0, 4)):
        start, end = rng.uniform((0, 0), (width, height), size=(2, 2))
        color = sample_color(rng, (0, 0.7), (0.2, 1.0))
        canvas.line(start, end, color, rng.uniform(1.5, 0.05 * width))


def _paint_occluders(
    canvas: Canvas, rng: np.random.Generator, joints: dict[str, np.ndarray], scale: float
) -> None:
    """Put one or two objects in front of the person."""
    for _ in range(rng.integers(1, 3)):
        center = joints[rng.choice(KEYPOINTS[5:])][:2] + rng.normal(0, 0.06, 2) * scale
        if rng.random() < 0.25:  # a pole
            reach = np.array([rng.normal(0, 0.1), 3.0]) * canvas.image.shape[0]
            radius = rng.uniform(0.02, 0.045) * scale
            pole = capsule(center - reach, center + reach, radius, radius)
            canvas.fill(pole, sample_color(rng, (0, 0.4), (0.2, 0.9)), Part.OCCLUDER)
        else:
            _paint_shape(canvas, rng, center, rng.uniform(0.08, 0.2) * scale, Part.OCCLUDER)


def _paint_shape(
    canvas: Canvas, rng: np.random.Generator, center: np.ndarray, size: float, part: Part
) -> None:
    """Paint an ellipse-like polygon with an edge."""
    stretch = rng.uniform(0.35, 1.0, size=2)
    polygon = center + (disc(np.zeros(2), size) * stretch)[:: rng.choice([1, 4, 5, 6])]
    color = sample_color(rng, (0.1, 0.7), (0.3, 1.0))
    canvas.fill(center + 1.06 * (polygon - center), shade(color, 0.6), part)
    canvas.fill(polygon, color, part)


def _expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add light from one side, contrast, blur and noise to an image (H, W, 3) uint8."""
    height, width = image.shape[:2]
    gain = rng.normal(1.0, 0.10) + rng.normal(0, 0.10) * np.linspace(-1, 1, width)[None, :]
    gain = gain + rng.normal(0, 0.06) * np.linspace(-1, 1, height)[:, None]
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1))
    noise = rng.standard_normal((height, width), dtype=np.float32) * rng.uniform(0.5, 4.0)
    exposed = image * gain.astype(np.float32)[..., None] + noise[..., None]
    return np.clip(exposed, 0, 255).astype(np.uint8)
