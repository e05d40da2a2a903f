"""One picture of one person with true labels."""

from dataclasses import dataclass

import cv2
import numpy as np

from .body import sample_body
from .brush import Brush
from .camera import expose, frame
from .canvas import Canvas
from .look import sample_look
from .painter import Painter
from .scene import paint_background, paint_ground, paint_occluders
from .skeleton import visibility_of

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
    """Draws one person doing something somewhere.

    Args:
        rng: the only source of chance: equal generators give equal figures.

    Returns:
        The picture and its true labels.
    """
    body, look = sample_body(rng), sample_look(rng)
    points, turned_away = body.keypoints()
    width, project = frame(body, points, _HEIGHT, rng)
    project = project.enlarged(_OVERSAMPLE)
    canvas = Canvas(_HEIGHT * _OVERSAMPLE, width * _OVERSAMPLE)
    painter = Painter(body, look, Brush(canvas, project, look.light))

    paint_background(canvas, rng)
    if not body.action.lying:
        paint_ground(canvas, painter.joints, project.scale, body.action.seated)
    painter.paint()
    silhouette = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE] > 0
    if rng.random() < 0.25:
        paint_occluders(canvas, rng, painter.joints, project.scale)

    image = cv2.resize(canvas.image, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    parts = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE].copy()
    # A pixel's number is its middle, hence the half pixel when the picture shrinks.
    keypoints = (project(points)[:, :2] + 0.5) / _OVERSAMPLE - 0.5
    return Figure(
        image=expose(image, rng),
        keypoints=keypoints,
        visibility=visibility_of(parts, keypoints, turned_away),
        bbox=np.array(cv2.boundingRect(silhouette.astype(np.uint8)), float),
        parts=parts,
        silhouette=silhouette,
    )
