"""What a camera does: it frames the person, and it exposes the picture."""

import cv2
import numpy as np

from .body import Body
from .brush import Projection
from .skeleton import SIDES


def frame(
    body: Body, points: np.ndarray, height: int, rng: np.random.Generator
) -> tuple[int, Projection]:
    """Chooses the picture's width and where the body stands in it.

    Args:
        body: of the person.
        points: (17, 3) keypoints in units of body height.
        height: of the picture in pixels.
        rng: the source of chance.

    Returns:
        The width in pixels, and the way from the body to the pixels.
    """
    ends = [body.joints[f'{side}_{end}'] for side in SIDES for end in ('hand', 'toe', 'heel')]
    extent = np.concatenate((points, ends))[:, :2] * (1, -1)
    low, high = extent.min(0) - (0.05, 0.09), extent.max(0) + (0.05, 0.04)
    size = high - low
    width = int(height * np.clip(1.05 * size[0] / size[1], 0.66, 1.0))
    scale = rng.uniform(0.72, 0.95) * min(width / size[0], height / size[1])
    # At times the person comes too close, and the border of the image cuts the figure.
    close = rng.random() < 0.14
    if close:
        scale *= rng.uniform(1.2, 1.5)
    free = (width, height) - scale * size
    corner = free * (rng.uniform(0.0, 1.0, 2) if close else rng.uniform(0.15, 0.85, 2))
    return width, Projection(scale, np.array([*(corner - scale * low), 0.0]))


def expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds light from one side, contrast, blur and noise to an image (H, W, 3) uint8."""
    height, width = image.shape[:2]
    gain = rng.normal(1.0, 0.10) + rng.normal(0, 0.10) * np.linspace(-1, 1, width)[None, :]
    gain = gain + rng.normal(0, 0.06) * np.linspace(-1, 1, height)[:, None]
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1))
    noise = rng.standard_normal((height, width), dtype=np.float32) * rng.uniform(0.5, 4.0)
    exposed = image * gain.astype(np.float32)[..., None] + noise[..., None]
    return np.clip(exposed, 0, 255).astype(np.uint8)
