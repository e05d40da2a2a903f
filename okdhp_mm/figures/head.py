"""Paints a head: skull with face and hair, ears, nose, and what is attached to it."""

from functools import partial

import numpy as np

from .body import EAR, HEAD_AXES, NOSE, Body
from .brush import Brush, Tube
from .canvas import capsule, disc, hull
from .look import Colour, Look, shade
from .skeleton import SIDES, Part

_BLUSH: Colour = (90, 90, 235)
_LIPS: Colour = (70, 60, 160)
_EYEBALL: Colour = (250, 250, 250)
_IRIS: Colour = (45, 35, 30)


class HeadPainter:
    """Paints one head."""

    def __init__(self, body: Body, look: Look, brush: Brush):
        self._body, self._look, self._brush = body, look, brush
        self._canvas = brush.canvas
        self._centre = brush.project(body.joints['head'])
        self._radius = body.head * brush.project.scale

    def paint(self) -> None:
        """Paints the head, without hair that hangs down."""
        nose = self._spot(NOSE)
        layers = [(nose[2], partial(self._nose, nose))]
        for name, side in SIDES.items():
            ear = self._spot(EAR, side)
            layers.append((ear[2], partial(self._ear, ear, Part.of(name, 'ear'))))
        if self._look.hair_style == 'bun':
            bun = self._spot((0, 0.95, -0.55))
            layers.append((bun[2], partial(self._bun, bun)))
        layers.append((self._centre[2], self._skull))
        for _, draw in sorted(layers, key=lambda layer: layer[0]):
            draw()
        if self._look.hair_style == 'cap':
            self._visor()

    def paint_long_hair(self) -> None:
        """Paints hair that hangs down, loose or as a tail."""
        look, head = self._look, self._body.head
        if look.hair_style == 'tail':
            root, tip = self._spot((0, 0.35, -1.0)), self._spot((0, -1.2, -1.45))
            self._brush.limb(Tube(root, tip, (0.3 * head, 0.16 * head), look.hair, Part.HAIR))
            return
        top = disc(self._spot((0, 0.1, -0.35)), 0.9 * self._radius)
        ends = [
            disc(self._spot((0.7, -1.45, -0.5), side), 0.3 * self._radius)
            for side in SIDES.values()
        ]
        self._brush.solid(hull(top, *ends), look.hair, Part.HAIR)

    def _spot(self, direction: tuple[float, float, float], side: int = 1) -> np.ndarray:
        """A point on the head in pixels with depth (3,)."""
        return self._brush.project(self._body.on_head(direction, side))

    def _ear(self, centre: np.ndarray, part: Part) -> None:
        skin, radius = self._look.skin, 0.21 * self._radius
        lobe = centre + (0, 0.3 * radius, 0)
        self._brush.solid(capsule(centre, lobe, radius, 0.8 * radius), skin, part)
        self._canvas.fill(disc(centre, 0.5 * radius), shade(skin, 0.8))

    def _nose(self, tip: np.ndarray) -> None:
        skin, radius = self._look.skin, 0.115 * self._radius
        bridge = self._spot((0.0, 0.02, 0.95))
        self._canvas.fill(capsule(bridge, tip, 0.7 * radius, 1.25 * radius), shade(skin, 0.78))
        self._canvas.fill(capsule(bridge, tip, 0.6 * radius, radius), shade(skin, 0.94), Part.NOSE)
        lit = tip[:2] + 0.22 * radius * self._look.light
        self._canvas.fill(disc(lit, 0.55 * radius), shade(skin, 1.12))

    def _bun(self, centre: np.ndarray) -> None:
        radius = 0.4 * self._body.head
        self._brush.limb(Tube(centre, centre, (radius, radius), self._look.hair, Part.HAIR))

    def _visor(self) -> None:
        if self._body.frames['head'][2, 2] < -0.25:
            return
        corners = [(0.7, 0.5, 0.6), (0.5, 0.46, 1.4)]
        discs = [
            disc(self._spot(corner, side), 0.07 * self._radius)
            for corner in corners
            for side in SIDES.values()
        ]
        self._brush.solid(hull(*discs), shade(self._look.shirt_accent, 0.85), Part.HAIR)

    def _skull(self) -> None:
        """Casts a ray per pixel at an ellipsoid: face and hair turn with the head for free."""
        frame, light = self._body.frames['head'], self._look.light
        x0, y0 = np.floor(self._centre[:2] - self._radius - 2).astype(int)
        side = int(2 * self._radius + 5)
        rows, cols = np.mgrid[y0 : y0 + side, x0 : x0 + side]
        height, width = self._canvas.parts.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        rows, cols = rows[inside], cols[inside]
        across = (cols - self._centre[0]) / self._radius
        down = (rows - self._centre[1]) / self._radius
        surface, hit = _cast_rays(across, -down, frame)
        surface, rows, cols = surface[hit], rows[hit], cols[hit]
        normal = surface @ frame.T
        lit = 0.93 + 0.17 * (normal[:, 0] * light[0] - normal[:, 1] * light[1])
        # A darker rim is the outline of the head.
        edge = np.where(normal[:, 2] < 0.22, 0.72, 1.0)
        colours = _face_colours(surface, self._look) * (lit * edge)[:, None]
        self._canvas.image[rows, cols] = np.clip(colours, 0, 255)
        self._canvas.parts[rows, cols] = Part.HEAD


def _cast_rays(x: np.ndarray, y: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays along -z first meet the head, as points (N, 3) of the unit sphere, and if (N,)."""
    origin = (x[:, None] * frame[0] + y[:, None] * frame[1]) / HEAD_AXES
    ray = frame[2] / HEAD_AXES
    a, b = ray @ ray, origin @ ray
    c = (origin**2).sum(-1) - 1
    discriminant = b**2 - a * c
    hit = discriminant > 0
    distance = (np.sqrt(np.where(hit, discriminant, 0)) - b) / a
    return origin + distance[:, None] * ray, hit


def _face_colours(surface: np.ndarray, look: Look) -> np.ndarray:
    """Colours (N, 3) of points (N, 3) on the unit head: skin, cheeks, eyes, mouth, hair."""
    x, y, z = surface.T
    front = z > 0

    def spots(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> np.ndarray:
        """One on either side."""
        across, up = (np.abs(x) - centre_x) / radius_x, (y - centre_y) / radius_y
        return front & (across**2 + up**2 < 1)

    mouth = front & (np.abs(x) < 0.3) & (np.abs(y + 0.6 - 1.3 * x**2) < 0.06)
    arch = y - 0.42 + (np.abs(x) - 0.36) ** 2
    brows = front & (np.abs(np.abs(x) - 0.38) < 0.18) & (np.abs(arch) < 0.035)
    colours = np.empty(surface.shape)
    colours[:] = look.skin
    colours[spots(0.52, -0.3, 0.2, 0.15)] = 0.8 * np.array(look.skin) + 0.2 * np.array(_BLUSH)
    colours[mouth] = _LIPS
    colours[spots(0.36, 0.1, 0.2, 0.17)] = _EYEBALL
    colours[spots(0.36, 0.1, 0.115, 0.145)] = _IRIS
    colours[brows] = shade(look.hair, 0.8)
    if look.hair_style == 'cap':
        colours[y > 0.40] = look.shirt_accent
        colours[(y <= 0.40) & (0.9 * z < 0.35 * y - 0.35)] = look.hair
    elif look.hair_style == 'bald':
        colours[(y < 0.2) & (z < -0.1)] = look.hair
    else:
        # Hair ends in a plane that runs from the forehead to the nape.
        colours[0.62 * y - 0.78 * z > 0.06 + 0.05 * np.sin(9 * x)] = look.hair
    return colours
