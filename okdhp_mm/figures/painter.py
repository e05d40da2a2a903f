"""Paints a person part by part, from far to near: trunk, arms and legs."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .body import Body
from .brush import Brush, Tube
from .canvas import RING, disc, hull
from .head import HeadPainter
from .look import Look, shade
from .skeleton import SIDES, Part


class Painter:
    """Paints one body.

    Attributes:
        joints: name -> (3,) pixels of the canvas with depth.
    """

    def __init__(self, body: Body, look: Look, brush: Brush):
        self.joints = {name: brush.project(point) for name, point in body.joints.items()}
        self._body, self._look, self._brush = body, look, brush
        self._canvas, self._scale = brush.canvas, brush.project.scale
        self._head = HeadPainter(body, look, brush)

    def paint(self) -> None:
        """Paints every part."""
        for _, draw in sorted(self._layers(), key=lambda layer: layer[0]):
            draw()

    def _layers(self) -> list[tuple[float, Callable[[], None]]]:
        """(depth, draw) of every group of parts that is never torn apart."""
        depth = {name: point[2] for name, point in self._body.joints.items()}
        trunk = 0.5 * (depth['pelvis'] + depth['neck'])
        head = max(depth['head'], trunk)
        layers = [(trunk, self._trunk), (head + 0.02, self._head.paint)]
        if self._look.hair_style in ('long', 'tail'):
            nape = (self._body.frames['head'] @ (0, 0, -1))[2] * self._body.head
            bias = 0.03 if nape > 0 else -0.05
            layers.append((head + bias + nape, self._head.paint_long_hair))
        for side in SIDES:
            # Ties go to the limb: seen from front and back, arms and legs overlap the trunk.
            arm = 0.25 * depth[f'{side}_shoulder'] + 0.75 * depth[f'{side}_elbow']
            arm = 0.6 * arm + 0.4 * depth[f'{side}_wrist']
            leg = 0.5 * depth[f'{side}_hip'] + 0.5 * depth[f'{side}_knee']
            layers.append((arm + 0.015, partial(self._arm, side)))
            layers.append((leg - 0.004, partial(self._leg, side)))
        if self._look.skirt:
            knees = max(depth['left_knee'], depth['right_knee'], trunk)
            layers.append((0.5 * (knees + trunk) + 0.014, self._skirt))
        return layers

    def _trunk(self) -> None:
        look, joints, pelvis = self._look, self._body.joints, self._body.frames['pelvis']
        hips = self._ring('pelvis', joints['pelvis'] - 0.01 * pelvis[:, 1], 0.088, 0.062)
        waist = self._ring('pelvis', joints['waist'], 0.078, 0.056)
        self._brush.solid(hull(hips, waist), look.trousers, Part.PELVIS)
        neck, head = self.joints['neck'], self.joints['head']
        self._brush.limb(Tube(neck, head, (0.034, 0.032), look.skin, Part.NECK))
        radius = 0.036 * self._body.girth * self._scale
        shoulders = [disc(self.joints[f'{side}_shoulder'], radius) for side in SIDES]
        torso = hull(*self._sections(0.0, 1.0), *shoulders)
        self._brush.solid(torso, look.shirt, Part.TORSO)
        middle = torso.mean(0)
        lit = middle + 0.62 * (torso - middle)
        lit = lit + 0.025 * self._scale * self._body.girth * look.light
        self._canvas.fill(lit.astype(torso.dtype), shade(look.shirt, 1.08))
        self._pattern()

    def _pattern(self) -> None:
        """Paints what is on the shirt; all but bands only where the chest is seen."""
        look, pattern = self._look, self._look.shirt_pattern
        bands = {'stripes': (0.1, 0.3, 0.5, 0.7), 'band': (0.45,)}.get(pattern, ())
        height = 0.08 if pattern == 'stripes' else 0.2
        for low in bands:
            self._canvas.fill(hull(*self._sections(low, low + height)), look.shirt_accent)
        if self._body.frames['trunk'][2, 2] < 0.25:
            return
        spots = {'logo': (0.62,), 'buttons': (0.15, 0.35, 0.55, 0.75)}.get(pattern, ())
        radius = 0.03 if pattern == 'logo' else 0.009
        for t in spots:
            self._canvas.fill(disc(self._chest(t, 0.0), radius * self._scale), look.shirt_accent)
        collar = [self._chest(0.99, 0.35), self._chest(0.99, -0.35), self._chest(0.78, 0.0)]
        self._canvas.fill(np.array(collar), look.skin)

    def _chest(self, t: float, across: float) -> np.ndarray:
        """A point on the front of the trunk; `across` runs from -1 (right) to 1 (left)."""
        return self._section(t)[round(5 - 5 * across) % len(RING)]

    def _sections(self, low: float, high: float) -> list[np.ndarray]:
        """Three sections that outline the trunk between two heights."""
        return [self._section(t) for t in (low, 0.5 * (low + high), high)]

    def _section(self, t: float) -> np.ndarray:
        """The trunk's section (20, 2) at height t: 0 waist, 1 shoulders."""
        joints, up = self._body.joints, self._body.frames['trunk'][:, 1]
        span = np.dot(joints['neck'] - joints['waist'], up)
        width = np.interp(t, (0, 0.65, 1.0), (0.080, 0.098, 0.060))
        depth = np.interp(t, (0, 0.65, 1.0), (0.058, 0.066, 0.036))
        return self._ring('trunk', joints['waist'] + (t * span - 0.012) * up, width, depth)

    def _ring(self, frame: str, centre: np.ndarray, width: float, depth: float) -> np.ndarray:
        """A horizontal ellipse (20, 2) about the trunk or the pelvis, seen from the camera."""
        girth = self._body.girth
        section = np.zeros((len(RING), 3))
        section[:, [0, 2]] = RING * (width * girth, depth * girth)
        return self._brush.project(centre + section @ self._body.frames[frame].T)[:, :2]

    def _skirt(self) -> None:
        outline = [self._ring('pelvis', self._body.joints['waist'], 0.080, 0.058)]
        for side in SIDES:
            hip, knee = self.joints[f'{side}_hip'], self.joints[f'{side}_knee']
            for t, radius in ((0.0, 0.062), (0.62, 0.072)):
                middle = hip + t * (knee - hip)
                outline.append(disc(middle, radius * self._body.girth * self._scale))
        self._brush.solid(hull(*outline), self._look.trousers, Part.SKIRT)

    def _arm(self, side: str) -> None:
        look, girth = self._look, self._body.girth
        shoulder, elbow, wrist, hand = (
            self.joints[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist', 'hand')
        )
        upper_arm, forearm = Part.of(side, 'upper_arm'), Part.of(side, 'forearm')
        cloth = look.shirt if look.sleeve == 1.0 else look.skin
        upper = [Tube(shoulder, elbow, (0.033 * girth, 0.027 * girth), cloth, upper_arm)]
        if look.sleeve == 0.5:
            cuff = shoulder + 0.6 * (elbow - shoulder)
            upper.append(
                Tube(shoulder, cuff, (0.036 * girth, 0.033 * girth), look.shirt, upper_arm)
            )
        lower = [
            Tube(wrist, hand, (0.021, 0.024), look.skin, forearm),
            Tube(elbow, wrist, (0.027 * girth, 0.021), cloth, forearm),
        ]
        # The nearer half goes last, so that a bent arm reads correctly.
        far_to_near = upper + lower if wrist[2] >= shoulder[2] else lower + upper
        self._brush.limb(*far_to_near)

    def _leg(self, side: str) -> None:
        look, girth = self._look, self._body.girth
        hip, knee, ankle, heel, toe = (
            self.joints[f'{side}_{name}'] for name in ('hip', 'knee', 'ankle', 'heel', 'toe')
        )
        thigh, shank, foot = (Part.of(side, name) for name in ('thigh', 'shank', 'foot'))
        upper_cloth = look.trousers if look.leg_cloth > 0 else look.skin
        lower_cloth = look.trousers if look.leg_cloth == 1.0 else look.skin
        upper = [Tube(hip, knee, (0.056 * girth, 0.041 * girth), upper_cloth, thigh)]
        lower = [
            Tube(heel, toe, (0.024, 0.02), look.shoes, foot),
            Tube(knee, ankle, (0.041 * girth, 0.026 * girth), lower_cloth, shank),
        ]
        if 0 < look.leg_cloth < 1:
            cuff = knee + 0.15 * (ankle - knee)
            lower.append(Tube(knee, cuff, (0.043 * girth, 0.042 * girth), look.trousers, shank))
        near_shank = ankle[2] >= hip[2] - 0.05 * self._scale
        self._brush.limb(*(upper + lower if near_shank else lower + upper))
