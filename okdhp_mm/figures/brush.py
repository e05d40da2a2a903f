"""Where a body stands on the canvas, and the strokes that all of its parts are painted with."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, capsule
from .look import Colour, shade
from .skeleton import Part


@dataclass(frozen=True)
class Projection:
    """From the body to the pixels.

    Attributes:
        scale: pixels per unit of body height.
        origin: (3,) pixels, where the pelvis is; its depth is 0.
    """

    scale: float
    origin: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Body units (..., 3) -> pixels with depth (..., 3)."""
        return points * (self.scale, -self.scale, self.scale) + self.origin

    def enlarged(self, factor: float) -> 'Projection':
        """The same onto a larger canvas."""
        return Projection(self.scale * factor, self.origin * factor)


@dataclass(frozen=True)
class Tube:
    """A rounded piece of a limb.

    Attributes:
        start: (3,) pixels with depth.
        end: (3,) pixels with depth.
        radii: at the start and at the end, in units of body height.
        colour: of the surface.
        part: who owns its pixels.
    """

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    colour: Colour
    part: Part


class Brush:
    """Paints shapes with dark edges, in the light of one scene.

    Attributes:
        canvas: what is painted on.
        project: from body units to pixels of the canvas.
        light: (2,) direction to the light in the image.
    """

    def __init__(self, canvas: Canvas, project: Projection, light: np.ndarray):
        self.canvas, self.project, self.light = canvas, project, light
        self._line = 2 * max(1, round(project.scale / 130))

    def solid(self, polygon: np.ndarray, colour: Colour, part: Part) -> None:
        """Paints a convex polygon (N, 2) with its edge."""
        self._edge(polygon, colour)
        self.canvas.fill(polygon, colour, part)

    def limb(self, *tubes: Tube) -> None:
        """Paints tubes in order, all their edges first: no seam where one joins the next."""
        scale = self.project.scale
        radii = [np.array(tube.radii) * scale for tube in tubes]
        outlines = [capsule(t.start, t.end, *r) for t, r in zip(tubes, radii, strict=True)]
        for tube, outline in zip(tubes, outlines, strict=True):
            self._edge(outline, tube.colour)
        for tube, outline, (first, last) in zip(tubes, outlines, radii, strict=True):
            self.canvas.fill(outline, tube.colour, tube.part)
            # A streak on the side of the light.
            start = tube.start[:2] + 0.28 * first * self.light
            end = tube.end[:2] + 0.28 * last * self.light
            streak = capsule(start, end, 0.5 * first, 0.5 * last)
            self.canvas.fill(streak, shade(tube.colour, 1.12))

    def _edge(self, polygon: np.ndarray, colour: Colour) -> None:
        self.canvas.outline(polygon, shade(colour, 0.55), self._line)
