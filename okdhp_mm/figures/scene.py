"""What is behind, below and in front of the person."""

import cv2
import numpy as np

from .canvas import Canvas, hull
from .look import hsv, sample_colour, shade
from .skeleton import KEYPOINTS, SIDES, Part

_SHADOW, _SEAT, _SEAT_LEGS = (40, 35, 35), (70, 105, 145), (50, 75, 105)


def paint_background(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paints a gradient with a floor, and things that are not a person."""
    image = canvas.image
    height, width = image.shape[:2]
    hue = rng.uniform(0, 180)
    top = hsv(hue, rng.uniform(0, 0.32), rng.uniform(0.5, 1.0))
    bottom = hsv(hue + rng.normal(0, 25), rng.uniform(0, 0.32), rng.uniform(0.5, 1.0))
    slope = np.linspace(0, 1, height)[:, None, None]
    image[:] = (1 - slope) * np.array(top) + slope * np.array(bottom)
    kind = rng.choice(['plain', 'stripes', 'blobs', 'shapes', 'plain'])
    if kind == 'stripes':
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(0.08, 0.25) * width
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-np.sin(angle), np.cos(angle)])
        for offset in np.arange(-height, height, pitch):
            middle = np.array([width, height]) / 2 + offset * across
            start, end = middle - 2 * height * along, middle + 2 * height * along
            canvas.stroke(start, end, shade(top, 0.9), 0.35 * pitch)
    elif kind == 'blobs':
        coarse = rng.uniform(-28, 28, size=(7, 6, 3)).astype(np.float32)
        texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        image[:] = np.clip(image + texture, 0, 255)
    elif kind == 'shapes':
        for _ in range(rng.integers(4, 10)):
            centre = rng.uniform((0, 0), (width, height))
            _paint_shape(canvas, rng, centre, 0.22 * height, Part.BACKGROUND)
    if kind == 'plain' or rng.random() < 0.3:
        horizon = int(rng.uniform(0.55, 0.85) * height)
        image[horizon:] = image[horizon:] * rng.uniform(0.7, 0.95)
    for _ in range(rng.integers(0, 4)):
        start, end = rng.uniform((0, 0), (width, height), size=(2, 2))
        colour = sample_colour(rng, (0, 0.7), (0.2, 1.0))
        canvas.stroke(start, end, colour, rng.uniform(1.5, 0.05 * width))


def paint_ground(canvas: Canvas, joints: dict[str, np.ndarray], scale: float, seated: bool) -> None:
    """Paints a soft shadow below the feet, and a stool for who sits.

    Args:
        canvas: with the background.
        joints: name -> (3,) pixels with depth.
        scale: pixels per unit of body height.
        seated: whether to paint the stool.
    """
    feet = np.stack([joints[f'{side}_{end}'][:2] for side in SIDES for end in ('heel', 'toe')])
    left, right = feet[:, 0].min(), feet[:, 0].max()
    ground = feet[:, 1].max() + 0.02 * scale
    middle = int(0.5 * (left + right)), int(ground)
    axes = int(0.5 * (right - left) + 0.1 * scale), int(0.03 * scale)
    shadow = canvas.image.copy()
    cv2.ellipse(shadow, middle, axes, 0, 0, 360, _SHADOW, -1, cv2.LINE_AA)
    cv2.addWeighted(shadow, 0.35, canvas.image, 0.65, 0, dst=canvas.image)
    if seated:
        seat_x, seat_y = joints['pelvis'][:2] + (0, 0.055 * scale)
        for shift in (-0.09 * scale, 0.09 * scale):
            hip, foot = (seat_x + shift, seat_y), (seat_x + 1.2 * shift, ground)
            canvas.stroke(hip, foot, _SEAT_LEGS, 0.028 * scale)
        edges = [(seat_x + shift, seat_y) for shift in (-0.1 * scale, 0.1 * scale)]
        canvas.stroke(*edges, _SEAT, 0.04 * scale)


def paint_occluders(
    canvas: Canvas, rng: np.random.Generator, joints: dict[str, np.ndarray], scale: float
) -> None:
    """Puts one or two objects in front of the person.

    Args:
        canvas: with the person.
        rng: the source of chance.
        joints: name -> (3,) pixels with depth.
        scale: pixels per unit of body height.
    """
    for _ in range(rng.integers(1, 3)):
        joint = joints[rng.choice(KEYPOINTS[5:])][:2]
        centre = joint + rng.normal(0, 0.06, 2) * scale
        if rng.random() < 0.25:  # a pole
            side = np.array([rng.uniform(0.02, 0.045) * scale, 0.0])
            reach = np.array([rng.normal(0, 0.1), 3.0]) * canvas.image.shape[0]
            colour = sample_colour(rng, (0, 0.4), (0.2, 0.9))
            ends = np.stack((centre - reach, centre + reach))
            pole = hull(ends - side, ends + side)
            canvas.fill(pole, colour, Part.OCCLUDER)
        else:
            _paint_shape(canvas, rng, centre, rng.uniform(0.08, 0.2) * scale, Part.OCCLUDER)


def _paint_shape(
    canvas: Canvas, rng: np.random.Generator, centre: np.ndarray, size: float, part: Part
) -> None:
    """Paints a random box, ball or polygon with an outline."""
    corners = rng.choice([3, 4, 4, 5, 24])
    angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
    radii = size * rng.uniform(0.35, 1.0) * np.array([1.0, rng.uniform(0.5, 1.0)])
    polygon = centre + np.stack((np.cos(angles), np.sin(angles)), 1) * radii
    colour = sample_colour(rng, (0.1, 0.7), (0.3, 1.0))
    canvas.outline(polygon, shade(colour, 0.6), 2)
    canvas.fill(polygon, colour, part)
