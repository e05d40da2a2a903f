"""Paint a person part by part, from far to near."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .body import EAR, EYE, NOSE, Body
from .canvas import Canvas, Color, capsule, disc, hull, sample_color, shade
from .skeleton import SIDES, Part

_SKIN = ((190, 205, 240), (135, 165, 220), (95, 135, 195), (45, 65, 105))
_HAIR = ((30, 30, 35), (35, 50, 75), (90, 160, 210), (40, 75, 170))
_LIPS: Color = (70, 60, 160)
_EYEBALL: Color = (250, 250, 250)
_IRIS: Color = (45, 35, 30)


@dataclass(frozen=True)
class Appearance:
    """Colors of skin, hair and clothes; sleeves and trouser legs are long or short."""

    skin: Color
    hair: Color
    shirt: Color
    trousers: Color
    shoes: Color
    long_sleeves: bool
    long_trousers: bool


def sample_appearance(rng: np.random.Generator) -> Appearance:
    """Draw the colors of a person."""
    return Appearance(
        skin=_SKIN[rng.integers(len(_SKIN))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        shirt=sample_color(rng, (0.15, 0.85), (0.45, 1.0)),
        trousers=sample_color(rng, (0.1, 0.7), (0.2, 0.8)),
        shoes=sample_color(rng, (0.0, 0.8), (0.15, 0.95)),
        long_sleeves=rng.random() < 0.5,
        long_trousers=rng.random() < 0.6,
    )


class Painter:
    """Painter of one body.

    Attributes:
        joints: name -> (3,) pixels of the canvas with depth.
    """

    def __init__(
        self, body: Body, look: Appearance, canvas: Canvas, scale: float, origin: np.ndarray
    ):
        self._body, self._look, self._canvas = body, look, canvas
        self._scale, self._origin = scale, origin
        self.joints = {name: self.project(point) for name, point in body.joints.items()}

    def project(self, points: np.ndarray) -> np.ndarray:
        """Convert body units (..., 3) to pixels with depth (..., 3)."""
        return points * (self._scale, -self._scale, self._scale) + self._origin

    def paint(self) -> None:
        """Paint every part."""
        depth = {name: point[2] for name, point in self._body.joints.items()}
        trunk = 0.5 * (depth['pelvis'] + depth['neck'])
        layers = [(trunk, self._trunk), (max(depth['head'], trunk) + 0.02, self._head)]
        for side in SIDES:
            # Ties go to the limb: seen from front and back, arms and legs overlap the trunk.
            arm = 0.25 * depth[f'{side}_shoulder'] + 0.75 * depth[f'{side}_elbow']
            arm = 0.6 * arm + 0.4 * depth[f'{side}_wrist']
            leg = 0.5 * depth[f'{side}_hip'] + 0.5 * depth[f'{side}_knee']
            layers.append((arm + 0.015, partial(self._arm, side)))
            layers.append((leg - 0.004, partial(self._leg, side)))
        for _, draw in sorted(layers, key=lambda layer: layer[0]):
            draw()

    def _limb(self, start: str, end: str, radii: tuple[float, float], color: Color, part: Part):
        first, last = (self._scale * radius for radius in radii)
        return capsule(self.joints[start], self.joints[end], first, last), color, part

    def _trunk(self) -> None:
        body, look, girth = self._body, self._look, self._body.girth * self._scale
        hips = [disc(self.joints[f'{side}_hip'], 0.042 * girth) for side in SIDES]
        waist = disc(self.joints['waist'], 0.06 * girth)
        shoulders = [disc(self.joints[f'{side}_shoulder'], 0.036 * girth) for side in SIDES]
        torso = hull(waist, *shoulders, disc(self.joints['neck'], 0.03 * girth))
        self._canvas.solid([(hull(waist, *hips), look.trousers, Part.PELVIS)])
        self._canvas.solid([self._limb('neck', 'head', (0.034, 0.032), look.skin, Part.NECK)])
        self._canvas.solid([(torso, look.shirt, Part.TORSO)])
        if body.frames['trunk'][2, 2] > 0.25:
            # A collar tells the front from the back.
            collar = disc(self.joints['neck'], 0.026 * girth)
            tip = 0.8 * self.joints['neck'] + 0.2 * self.joints['waist']
            self._canvas.fill(hull(collar, tip[None, :2]), look.skin)

    def _arm(self, side: str) -> None:
        look, girth = self._look, self._body.girth
        shoulder, elbow, wrist, hand = (
            f'{side}_{name}' for name in ('shoulder', 'elbow', 'wrist', 'hand')
        )
        upper_arm, forearm = Part.of(side, 'upper_arm'), Part.of(side, 'forearm')
        sleeve = look.shirt if look.long_sleeves else look.skin
        upper = [self._limb(shoulder, elbow, (0.033 * girth, 0.027 * girth), look.shirt, upper_arm)]
        lower = [
            self._limb(wrist, hand, (0.021, 0.024), look.skin, forearm),
            self._limb(elbow, wrist, (0.027 * girth, 0.021), sleeve, forearm),
        ]
        # The nearer half goes last, so that a bent arm reads correctly.
        in_front = self.joints[wrist][2] >= self.joints[shoulder][2]
        self._canvas.solid(upper + lower if in_front else lower + upper)

    def _leg(self, side: str) -> None:
        look, girth = self._look, self._body.girth
        hip, knee, ankle, heel, toe = (
            f'{side}_{name}' for name in ('hip', 'knee', 'ankle', 'heel', 'toe')
        )
        thigh, shank, foot = (Part.of(side, name) for name in ('thigh', 'shank', 'foot'))
        cloth = look.trousers if look.long_trousers else look.skin
        upper = [self._limb(hip, knee, (0.056 * girth, 0.041 * girth), look.trousers, thigh)]
        lower = [
            self._limb(heel, toe, (0.024, 0.02), look.shoes, foot),
            self._limb(knee, ankle, (0.041 * girth, 0.026 * girth), cloth, shank),
        ]
        in_front = self.joints[ankle][2] >= self.joints[hip][2] - 0.05 * self._scale
        self._canvas.solid(upper + lower if in_front else lower + upper)

    def _head(self) -> None:
        """Paint skull, ears and nose in the order of their depth, then the face."""
        center, radius = self.joints['head'], self._body.head * self._scale
        layers = [(center[2], self._skull), (self._spot(NOSE)[2], self._nose)]
        for name, side in SIDES.items():
            ear = self._spot(EAR, side)
            shape = disc(ear, 0.21 * radius), self._look.skin, Part.of(name, 'ear')
            layers.append((ear[2], partial(self._canvas.solid, [shape])))
        for _, draw in sorted(layers, key=lambda layer: layer[0]):
            draw()

    def _skull(self) -> None:
        """Paint hair all around, and the face as what the hair leaves free in front."""
        look, radius = self._look, self._body.head * self._scale
        self._canvas.solid([(disc(self.joints['head'], 0.95 * radius), look.hair, Part.HEAD)])
        # The face is a part of the skull's surface; only its near side is painted.
        across, up = np.meshgrid(np.linspace(-0.8, 0.8, 15), np.linspace(-0.85, 0.42, 13))
        inside = across**2 + up**2 < 0.8
        forward = np.sqrt(1 - across[inside] ** 2 - up[inside] ** 2)
        surface = np.stack((across[inside], up[inside], forward), 1)
        near = (surface @ self._body.frames['head'].T)[:, 2] > 0
        if near.sum() > 2:
            face = np.stack([self._spot(point)[:2] for point in surface[near]])
            self._canvas.fill(hull(face), look.skin)
        if self._body.frames['head'][2, 2] > 0.2:
            left, right = (self._spot((0.25, -0.58, 0.75), side) for side in SIDES.values())
            self._canvas.fill(capsule(left, right, 0.07 * radius, 0.07 * radius), _LIPS)
        for side in SIDES.values():
            eye = self._spot(EYE, side)
            if eye[2] > self.joints['head'][2] + 0.1 * radius:
                self._canvas.fill(disc(eye, 0.19 * radius), _EYEBALL)
                self._canvas.fill(disc(eye, 0.12 * radius), _IRIS)

    def _nose(self) -> None:
        tip, bridge = self._spot(NOSE), self._spot((0.0, 0.02, 0.95))
        radius, skin = 0.115 * self._body.head * self._scale, self._look.skin
        self._canvas.fill(capsule(bridge, tip, 0.7 * radius, 1.25 * radius), shade(skin, 0.78))
        self._canvas.fill(capsule(bridge, tip, 0.6 * radius, radius), shade(skin, 0.94), Part.NOSE)

    def _spot(self, direction: tuple[float, float, float], side: int = 1) -> np.ndarray:
        """Return a point on the head in pixels with depth (3,)."""
        return self.project(self._body.on_head(direction, side))
