"""Articulated human figures, drawn with numpy and OpenCV: a data set for the demo without files.

A figure is a skeleton of 3-D joints with joint-angle limits, dressed in rounded parts that are
painted from far to near. Beside the colours the painter keeps a map of *which part owns each
pixel*; the visibility of a keypoint is read from that map, so labels are true by construction.

Axes of the body, in units of its standing height: x to the person's left, y up, z forward. The
camera looks along -z (orthographic), hence a larger z is nearer.
"""

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import cv2
import numpy as np

KEYPOINTS = (
    'nose',
    'left_eye',
    'right_eye',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
# COCO's own list, counted from 0 (the annotation file counts from 1).
SKELETON = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
)


class Part(IntEnum):
    """Who owns a pixel."""

    BACKGROUND = 0
    OCCLUDER = 1
    TORSO = 2
    PELVIS = 3
    SKIRT = 4
    NECK = 5
    HEAD = 6
    HAIR = 7
    NOSE = 8
    LEFT_EAR = 9
    RIGHT_EAR = 10
    LEFT_UPPER_ARM = 11
    RIGHT_UPPER_ARM = 12
    LEFT_FOREARM = 13
    RIGHT_FOREARM = 14
    LEFT_THIGH = 15
    RIGHT_THIGH = 16
    LEFT_SHANK = 17
    RIGHT_SHANK = 18
    LEFT_FOOT = 19
    RIGHT_FOOT = 20


# A keypoint is seen where one of these parts owns its pixel.
OWNERS = (
    (Part.NOSE,),
    (Part.HEAD,),
    (Part.HEAD,),
    (Part.LEFT_EAR,),
    (Part.RIGHT_EAR,),
    (Part.LEFT_UPPER_ARM, Part.TORSO),
    (Part.RIGHT_UPPER_ARM, Part.TORSO),
    (Part.LEFT_UPPER_ARM, Part.LEFT_FOREARM),
    (Part.RIGHT_UPPER_ARM, Part.RIGHT_FOREARM),
    (Part.LEFT_FOREARM,),
    (Part.RIGHT_FOREARM,),
    (Part.LEFT_THIGH, Part.PELVIS, Part.SKIRT, Part.TORSO),
    (Part.RIGHT_THIGH, Part.PELVIS, Part.SKIRT, Part.TORSO),
    (Part.LEFT_THIGH, Part.LEFT_SHANK),
    (Part.RIGHT_THIGH, Part.RIGHT_SHANK),
    (Part.LEFT_SHANK, Part.LEFT_FOOT),
    (Part.RIGHT_SHANK, Part.RIGHT_FOOT),
)


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


def visibility_of(parts: np.ndarray, keypoints: np.ndarray, turned_away: np.ndarray) -> np.ndarray:
    """Reads COCO visibility flags off the map of parts.

    Args:
        parts: (H, W), the `Part` that owns each pixel.
        keypoints: (17, 2) pixels.
        turned_away: (17,) bool, keypoints on the far side of their own part.

    Returns:
        (17,) int: 2 visible, 1 hidden, 0 outside of the image.
    """
    height, width = parts.shape
    flags = np.zeros(len(KEYPOINTS), int)
    for k, (x, y) in enumerate(np.rint(keypoints).astype(int)):
        if 0 <= x < width and 0 <= y < height:
            flags[k] = 2 if parts[y, x] in OWNERS[k] and not turned_away[k] else 1
    return flags


# ------------------------------------------------------------------------------ body and pose


@dataclass(frozen=True)
class Limb:
    """Angles in degrees of an arm or a leg; `joint` is the elbow or the knee."""

    flexion: float
    abduction: float
    twist: float
    joint: float

    def jittered(self, rng: np.random.Generator, spread: float, limits: 'Limbs') -> 'Limb':
        """Another person's version of the same pose, within the limits of the joints."""
        angles = np.array([self.flexion, self.abduction, self.twist, self.joint])
        angles = angles + rng.normal(size=4) * spread * np.array([1.0, 0.6, 1.0, 1.2])
        return Limb(*np.clip(angles, limits[0], limits[1]))


Limbs = tuple[tuple[float, ...], tuple[float, ...]]
ARM_LIMITS: Limbs = ((-50, -5, -30, 0), (175, 170, 80, 145))
LEG_LIMITS: Limbs = ((-25, 0, -15, 0), (120, 60, 25, 140))


@dataclass(frozen=True)
class Action:
    """A typical pose, in degrees.

    Attributes:
        name: what the person does.
        weight: how often, relative to the other actions.
        arms: mean angles (as in `Limb`) of one arm and of the other.
        legs: the same of the legs.
        lean: of the trunk, forwards.
        spread: standard deviation of the angles.
        seated: on a stool.
        lying: turned by a quarter, without a floor.
    """

    name: str
    weight: float
    arms: tuple[tuple[float, ...], tuple[float, ...]]
    legs: tuple[tuple[float, ...], tuple[float, ...]]
    lean: float = 0.0
    spread: float = 9.0
    seated: bool = False
    lying: bool = False


_HANG, _STAND = (3, 9, 0, 12), (2, 4, 0, 3)
ACTIONS = (
    Action('stand', 3.0, (_HANG, _HANG), (_STAND, _STAND)),
    Action('akimbo', 1.5, ((5, 28, 60, 95),) * 2, ((2, 10, 0, 3),) * 2),
    Action('walk', 3.0, ((-28, 8, 0, 18), (30, 8, 0, 35)), ((30, 3, 0, 12), (-18, 3, 0, 28)), 4),
    Action('run', 2.5, ((-42, 14, 0, 95), (42, 10, 10, 95)), ((68, 4, 0, 80), (-18, 4, 0, 65)), 14),
    Action('raise both arms', 1.5, ((155, 20, 0, 20),) * 2, (_STAND, _STAND)),
    Action('jump', 1.5, ((10, 140, 0, 25),) * 2, ((5, 26, 0, 8),) * 2),
    Action('wave', 1.5, ((15, 125, 0, 55), _HANG), (_STAND, _STAND)),
    Action('point', 1.5, ((80, 5, 0, 15), (10, 10, 0, 40)), ((5, 6, 0, 5),) * 2),
    Action('spread arms', 1.5, ((0, 85, 0, 10),) * 2, ((2, 14, 0, 5),) * 2),
    Action('sit', 1.8, ((30, 8, 20, 60),) * 2, ((84, 10, 0, 88),) * 2, 3, seated=True),
    Action('crouch', 0.9, ((65, 12, 10, 30),) * 2, ((105, 22, 0, 125),) * 2, 35),
    Action('lunge', 1.2, ((60, 12, 15, 80),) * 2, ((75, 8, 0, 90), (-15, 5, 0, 20)), 10),
    Action('kick', 1.2, ((30, 50, 0, 30), (-20, 60, 0, 20)), ((85, 12, 0, 15), (0, 5, 0, 10)), -8),
    Action('dance', 0.9, ((90, 60, 30, 60), (60, 60, 30, 60)), ((30, 15, 0, 30),) * 2, 8, 24),
    Action('lie', 0.6, ((30, 20, 0, 40),) * 2, ((15, 10, 0, 20),) * 2, 0, 14, lying=True),
)


@dataclass(frozen=True)
class Body:
    """3-D joints (already seen from the camera) and the size of a person.

    Attributes:
        joints: name -> (3,) position, in units of body height.
        frames: name -> (3, 3) rotation of 'trunk', 'pelvis' and 'head'.
        girth: how stout, about 1.
        head: radius of the head.
        action: what the person does.
    """

    joints: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    girth: float
    head: float
    action: Action


def _rotation(axis: int, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = -sin, sin
    return matrix


def _sample_camera(rng: np.random.Generator, lying: bool) -> np.ndarray:
    """Rotation from the body to the camera: mostly from the front, sometimes from anywhere."""
    yaw = rng.normal(0, 30) if rng.random() < 0.6 else rng.uniform(-180, 180)
    roll = rng.choice((-90, 90)) + rng.normal(0, 15) if lying else rng.normal(0, 5)
    return _rotation(2, roll) @ _rotation(0, rng.normal(4, 7)) @ _rotation(1, yaw)


def _sample_body(rng: np.random.Generator) -> Body:
    weights = np.array([action.weight for action in ACTIONS])
    action = ACTIONS[rng.choice(len(ACTIONS), p=weights / weights.sum())]
    # Which arm waves and which leg leads is a coin toss; in walking and running both are tied.
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    arms = [Limb(*action.arms[i]).jittered(rng, action.spread, ARM_LIMITS) for i in order]
    legs = [Limb(*action.legs[i]).jittered(rng, action.spread, LEG_LIMITS) for i in order]

    view = _sample_camera(rng, action.lying)
    turn = rng.normal(0, 7)
    pelvis = view @ _rotation(0, 0.3 * action.lean) @ _rotation(1, turn)
    lean, bend = action.lean + rng.normal(0, 5), rng.normal(0, 5)
    trunk = view @ _rotation(0, lean) @ _rotation(2, bend) @ _rotation(1, -turn)
    nod, look, tilt = rng.normal(-0.5 * lean, 8), rng.normal(0, 20), rng.normal(0, 6)
    head = trunk @ _rotation(1, look) @ _rotation(0, nod) @ _rotation(2, tilt)

    length = rng.normal(1, 0.05, size=5)
    joints: dict[str, np.ndarray] = {'pelvis': np.zeros(3)}
    joints['waist'] = pelvis @ (0, 0.07, 0)
    joints['neck'] = joints['waist'] + trunk @ (0, 0.235 * length[0], 0)
    head_radius = rng.uniform(0.076, 0.098)
    joints['head'] = joints['neck'] + trunk @ (0, 0.02, 0) + head @ (0, 0.035 + head_radius, 0.012)
    hip_width, shoulder_width = 0.058 * rng.normal(1, 0.06), 0.108 * length[1]
    for name, side, arm, leg in zip(('left', 'right'), (1, -1), arms, legs, strict=True):
        shoulder = joints['neck'] + trunk @ (side * shoulder_width, -0.022, 0)
        upper = trunk @ _rotation(2, side * arm.abduction) @ _rotation(0, -arm.flexion)
        upper = upper @ _rotation(1, -side * arm.twist)
        elbow = shoulder + upper @ (0, -0.162 * length[2], 0)
        fore = upper @ _rotation(0, -arm.joint)
        joints[f'{name}_shoulder'], joints[f'{name}_elbow'] = shoulder, elbow
        joints[f'{name}_wrist'] = elbow + fore @ (0, -0.142 * length[2], 0)
        joints[f'{name}_hand'] = joints[f'{name}_wrist'] + fore @ (0, -0.036, 0)

        hip = pelvis @ (side * hip_width, 0, 0)
        thigh = pelvis @ _rotation(2, side * leg.abduction) @ _rotation(0, -leg.flexion)
        thigh = thigh @ _rotation(1, side * (leg.twist + 8))
        knee = hip + thigh @ (0, -0.235 * length[3], 0)
        shank = thigh @ _rotation(0, leg.joint)
        joints[f'{name}_hip'], joints[f'{name}_knee'] = hip, knee
        joints[f'{name}_ankle'] = knee + shank @ (0, -0.225 * length[4], 0)
        # A foot stays level where the ankle can do it, else it follows the shank.
        foot = shank @ _rotation(0, rng.normal(0, 6) + 0.4 * max(0.0, leg.flexion - leg.joint))
        joints[f'{name}_heel'] = joints[f'{name}_ankle'] + foot @ (0, -0.022, -0.018)
        joints[f'{name}_toe'] = joints[f'{name}_ankle'] + foot @ (0, -0.026, 0.085)
    frames = {'trunk': trunk, 'pelvis': pelvis, 'head': head}
    return Body(joints, frames, rng.uniform(0.88, 1.22), head_radius, action)


# Directions from the middle of the head to what is on its surface, in the frame of the head.
_EYE, _EAR, _NOSE = (0.36, 0.10, 0.90), (0.98, -0.05, -0.08), (0.0, -0.14, 1.12)
_HEAD_AXES = np.array([0.84, 1.0, 0.93])


def _on_head(body: Body, direction: tuple[float, float, float], side: int = 1) -> np.ndarray:
    local = np.array(direction) * (side, 1, 1) * _HEAD_AXES * body.head
    return body.joints['head'] + body.frames['head'] @ local


def _body_keypoints(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """The (17, 3) keypoints and which of them (17,) are on the far side of their own part."""
    points = [_on_head(body, _NOSE)]
    points += [_on_head(body, _EYE, side) for side in (1, -1)]
    points += [_on_head(body, _EAR, side) for side in (1, -1)]
    points += [body.joints[name] for name in KEYPOINTS[5:]]
    away = np.zeros(len(KEYPOINTS), bool)
    for k, side in ((1, 1), (2, -1)):
        outward = body.frames['head'] @ (np.array(_EYE) * (side, 1, 1) / _HEAD_AXES)
        away[k] = outward[2] < 0.1
    # Shoulders and hips lie inside the trunk: from the side the trunk hides the far ones.
    for k, frame, side in (
        (5, 'trunk', 1),
        (6, 'trunk', -1),
        (11, 'pelvis', 1),
        (12, 'pelvis', -1),
    ):
        away[k] = (body.frames[frame] @ (side, 0, 0))[2] < -0.6
    return np.array(points), away


# ----------------------------------------------------------------------------------- painting

Colour = tuple[float, float, float]
# Figures are painted at twice the size and then shrunk: smooth edges at little cost.
_OVERSAMPLE = 2
_SHIFT = 4  # fractional bits of OpenCV's drawing functions
_RING = np.stack([f(np.linspace(0, 2 * np.pi, 20, endpoint=False)) for f in (np.cos, np.sin)], 1)

_SKIN = (
    (190, 205, 240),
    (165, 190, 235),
    (135, 165, 220),
    (95, 135, 195),
    (65, 95, 150),
    (45, 65, 105),
)
_HAIR = ((30, 30, 35), (35, 50, 75), (45, 80, 125), (90, 160, 210), (40, 75, 170), (165, 165, 170))


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    pixel = np.array([[[hue % 180, saturation * 255, value * 255]]]).astype(np.uint8)
    return tuple(float(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0])


def _shade(colour: Colour, factor: float) -> Colour:
    return tuple(min(255.0, c * factor) for c in colour)


class _Canvas:
    """Colours and the map of parts, painted together."""

    def __init__(self, image: np.ndarray):
        self.image = image
        self.parts = np.zeros(image.shape[:2], np.uint8)

    def fill(self, polygon: np.ndarray, colour: Colour, part: Part | None = None) -> None:
        """Fills a convex polygon (N, 2); without a part it only colours what is there."""
        points = np.rint(polygon * (1 << _SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(self.image, points, colour, cv2.LINE_AA, _SHIFT)
        if part is not None:
            cv2.fillConvexPoly(self.parts, points, int(part), cv2.LINE_8, _SHIFT)

    def outline(self, polygon: np.ndarray, colour: Colour, thickness: int) -> None:
        points = np.rint(polygon * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(self.image, [points], True, colour, thickness, cv2.LINE_AA, _SHIFT)


def _capsule(start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float):
    """The convex outline (N, 2) of two discs."""
    discs = np.concatenate((start[:2] + start_radius * _RING, end[:2] + end_radius * _RING))
    return cv2.convexHull(discs.astype(np.float32))[:, 0]


def _hull(*points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(np.concatenate(points).astype(np.float32))[:, 0]


@dataclass(frozen=True)
class Look:
    """Clothes and colours."""

    skin: Colour
    hair: Colour
    shirt: Colour
    shirt_accent: Colour
    trousers: Colour
    shoes: Colour
    hair_style: str
    shirt_pattern: str
    sleeve: float
    leg_cloth: float
    skirt: bool
    light: np.ndarray


def _sample_look(rng: np.random.Generator) -> Look:
    skin = _SKIN[rng.integers(len(_SKIN))]
    skirt = rng.random() < 0.18
    angle = rng.uniform(-2.6, -0.5)
    return Look(
        skin=skin,
        hair=_HAIR[rng.integers(len(_HAIR))],
        shirt=_hsv(rng.uniform(0, 180), rng.uniform(0.15, 0.85), rng.uniform(0.45, 1.0)),
        shirt_accent=_hsv(rng.uniform(0, 180), rng.uniform(0.0, 0.9), rng.uniform(0.3, 1.0)),
        trousers=_hsv(rng.uniform(0, 180), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.8)),
        shoes=_hsv(rng.uniform(0, 180), rng.uniform(0.0, 0.8), rng.uniform(0.15, 0.95)),
        hair_style=str(rng.choice(['short', 'short', 'long', 'tail', 'bun', 'cap', 'bald'])),
        shirt_pattern=str(rng.choice(['plain', 'plain', 'stripes', 'band', 'logo', 'buttons'])),
        sleeve=float(rng.choice([0.0, 0.5, 0.5, 1.0, 1.0])),
        leg_cloth=0.0 if skirt else float(rng.choice([0.45, 1.0, 1.0])),
        skirt=skirt,
        light=np.array([np.cos(angle), np.sin(angle)]),
    )


@dataclass(frozen=True)
class _Tube:
    """A rounded piece of a limb: ends in pixels, radii in units of body height."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    colour: Colour
    part: Part

    def outline(self, scale: float) -> np.ndarray:
        return _capsule(self.start, self.end, self.radii[0] * scale, self.radii[1] * scale)

    def lit(self, scale: float, light: np.ndarray) -> np.ndarray:
        """The streak on the side of the light."""
        first, last = (radius * scale for radius in self.radii)
        start, end = self.start[:2] + 0.28 * first * light, self.end[:2] + 0.28 * last * light
        return _capsule(start, end, 0.5 * first, 0.5 * last)


class _Painter:
    """Paints one body onto a canvas, part by part from far to near."""

    def __init__(self, canvas: _Canvas, body: Body, look: Look, scale: float, origin: np.ndarray):
        self.canvas, self.body, self.look = canvas, body, look
        self.scale, self.origin = scale, origin
        self.joints = {name: self.project(point) for name, point in body.joints.items()}
        self.line = max(1, round(scale / 130))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Body units (..., 3) -> canvas pixels with depth (..., 3)."""
        return points * (self.scale, -self.scale, self.scale) + self.origin

    def paint(self) -> None:
        for _, draw in sorted(self.layers(), key=lambda layer: layer[0]):
            draw()

    def layers(self) -> list[tuple[float, Callable[[], None]]]:
        """(depth, draw) of every group of parts that is never torn apart."""
        depth = {name: point[2] for name, point in self.body.joints.items()}
        trunk = 0.5 * (depth['pelvis'] + depth['neck'])
        layers = [(trunk, self.trunk), (max(depth['head'], trunk) + 0.02, self.head)]
        if self.look.hair_style in ('long', 'tail'):
            nape = (self.body.frames['head'] @ (0, 0, -1))[2] * self.body.head
            bias = 0.03 if nape > 0 else -0.05
            layers.append((max(depth['head'], trunk) + bias + nape, self.long_hair))
        for side in ('left', 'right'):
            # Ties go to the limb: seen from front and back, arms and legs overlap the trunk.
            arm = 0.25 * depth[f'{side}_shoulder'] + 0.75 * depth[f'{side}_elbow']
            arm = 0.6 * arm + 0.4 * depth[f'{side}_wrist']
            leg = 0.5 * depth[f'{side}_hip'] + 0.5 * depth[f'{side}_knee']
            layers.append((arm + 0.015, lambda side=side: self.arm(side)))
            layers.append((leg - 0.004, lambda side=side: self.leg(side)))
        if self.look.skirt:
            knees = max(depth['left_knee'], depth['right_knee'], trunk)
            layers.append((0.5 * (knees + trunk) + 0.014, self.skirt))
        return layers

    # -- shared strokes

    def edge(self, polygon: np.ndarray, colour: Colour) -> None:
        self.canvas.outline(polygon, _shade(colour, 0.55), 2 * self.line)

    def solid(self, polygon: np.ndarray, colour: Colour, part: Part) -> None:
        self.edge(polygon, colour)
        self.canvas.fill(polygon, colour, part)

    def limb(self, tubes: list['_Tube']) -> None:
        """Paints tubes in order, all their edges first: no seam where one joins the next."""
        for tube in tubes:
            self.edge(tube.outline(self.scale), tube.colour)
        for tube in tubes:
            self.canvas.fill(tube.outline(self.scale), tube.colour, tube.part)
            self.canvas.fill(tube.lit(self.scale, self.look.light), _shade(tube.colour, 1.12))

    def ring(self, frame: str, centre: np.ndarray, width: float, depth: float) -> np.ndarray:
        """A horizontal section (20, 2) of the trunk, seen from the camera."""
        girth = self.body.girth
        section = np.zeros((len(_RING), 3))
        section[:, [0, 2]] = _RING * (width * girth, depth * girth)
        return self.project(centre + section @ self.body.frames[frame].T)[:, :2]

    # -- parts

    def trunk(self) -> None:
        joints, look, scale, girth = self.body.joints, self.look, self.scale, self.body.girth
        hips = self.ring(
            'pelvis', joints['pelvis'] - 0.01 * self.body.frames['pelvis'][:, 1], 0.088, 0.062
        )
        waist = self.ring('pelvis', joints['waist'], 0.078, 0.056)
        self.solid(_hull(hips, waist), look.trousers, Part.PELVIS)
        neck = (self.joints['neck'], self.joints['head'], (0.034, 0.032), look.skin, Part.NECK)
        self.limb([_Tube(*neck)])
        torso = self.torso_outline(0.0, 1.0)
        self.solid(torso, look.shirt, Part.TORSO)
        middle = torso.mean(0)
        lit = middle + 0.62 * (torso - middle) + 0.025 * scale * girth * look.light
        self.canvas.fill(lit.astype(np.float32), _shade(look.shirt, 1.08))
        self.pattern()

    def section(self, t: float) -> np.ndarray:
        """The trunk's outline at height t: 0 waist, 1 shoulders."""
        up = self.body.frames['trunk'][:, 1]
        span = np.dot(self.body.joints['neck'] - self.body.joints['waist'], up)
        width = np.interp(t, (0, 0.65, 1.0), (0.080, 0.098, 0.060))
        depth = np.interp(t, (0, 0.65, 1.0), (0.058, 0.066, 0.036))
        return self.ring('trunk', self.body.joints['waist'] + (t * span - 0.012) * up, width, depth)

    def torso_outline(self, low: float, high: float) -> np.ndarray:
        rings = [self.section(t) for t in (low, 0.5 * (low + high), high)]
        if high == 1.0:
            radius = 0.036 * self.body.girth * self.scale
            for side in ('left', 'right'):
                rings.append(self.joints[f'{side}_shoulder'][:2] + radius * _RING)
        return _hull(*rings)

    def pattern(self) -> None:
        look, facing = self.look, self.body.frames['trunk'][2, 2]
        bands = {'stripes': (0.1, 0.3, 0.5, 0.7), 'band': (0.45,)}.get(look.shirt_pattern, ())
        height = 0.08 if look.shirt_pattern == 'stripes' else 0.2
        for low in bands:
            self.canvas.fill(self.torso_outline(low, low + height), look.shirt_accent)
        if facing < 0.25:
            return
        if look.shirt_pattern == 'logo':
            self.disc(self.chest(0.62, 0.0), 0.03, look.shirt_accent)
        if look.shirt_pattern == 'buttons':
            for t in (0.15, 0.35, 0.55, 0.75):
                self.disc(self.chest(t, 0.0), 0.009, look.shirt_accent)
        collar = [self.chest(0.99, 0.35), self.chest(0.99, -0.35), self.chest(0.78, 0.0)]
        self.canvas.fill(np.array(collar), look.skin)

    def chest(self, t: float, across: float) -> np.ndarray:
        """A point on the front of the trunk; `across` runs from -1 (right) to 1 (left)."""
        return self.section(t)[round(5 - 5 * across) % len(_RING)]

    def disc(self, centre: np.ndarray, radius: float, colour: Colour) -> None:
        self.canvas.fill(centre + radius * self.scale * _RING, colour)

    def skirt(self) -> None:
        waist = self.ring('pelvis', self.body.joints['waist'], 0.080, 0.058)
        hem = []
        for side in ('left', 'right'):
            hip, knee = self.joints[f'{side}_hip'], self.joints[f'{side}_knee']
            for t, radius in ((0.0, 0.062), (0.62, 0.072)):
                middle = (hip + t * (knee - hip))[:2]
                hem.append(middle + radius * self.body.girth * self.scale * _RING)
        self.solid(_hull(waist, *hem), self.look.trousers, Part.SKIRT)

    def arm(self, side: str) -> None:
        look, girth = self.look, self.body.girth
        shoulder, elbow, wrist, hand = (
            self.joints[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist', 'hand')
        )
        upper, fore = Part[f'{side}_upper_arm'.upper()], Part[f'{side}_forearm'.upper()]
        cloth = look.shirt if look.sleeve == 1.0 else look.skin
        upper_tubes = [_Tube(shoulder, elbow, (0.033 * girth, 0.027 * girth), cloth, upper)]
        if look.sleeve == 0.5:
            cuff = shoulder + 0.6 * (elbow - shoulder)
            upper_tubes += [
                _Tube(shoulder, cuff, (0.036 * girth, 0.033 * girth), look.shirt, upper)
            ]
        fore_tubes = [
            _Tube(wrist, hand, (0.021, 0.024), look.skin, fore),
            _Tube(elbow, wrist, (0.027 * girth, 0.021), cloth, fore),
        ]
        # The nearer half goes last, so that a bent arm reads correctly.
        near_fore = wrist[2] >= shoulder[2]
        self.limb(upper_tubes + fore_tubes if near_fore else fore_tubes + upper_tubes)

    def leg(self, side: str) -> None:
        look, girth = self.look, self.body.girth
        hip, knee, ankle, heel, toe = (
            self.joints[f'{side}_{name}'] for name in ('hip', 'knee', 'ankle', 'heel', 'toe')
        )
        thigh, shank = Part[f'{side}_thigh'.upper()], Part[f'{side}_shank'.upper()]
        upper_cloth = look.trousers if look.leg_cloth > 0 else look.skin
        lower_cloth = look.trousers if look.leg_cloth == 1.0 else look.skin
        upper_tubes = [_Tube(hip, knee, (0.056 * girth, 0.041 * girth), upper_cloth, thigh)]
        lower_tubes = [
            _Tube(heel, toe, (0.024, 0.02), look.shoes, Part[f'{side}_foot'.upper()]),
            _Tube(knee, ankle, (0.041 * girth, 0.026 * girth), lower_cloth, shank),
        ]
        if 0 < look.leg_cloth < 1:
            cuff = knee + 0.15 * (ankle - knee)
            lower_tubes += [_Tube(knee, cuff, (0.043 * girth, 0.042 * girth), look.trousers, shank)]
        near_shank = ankle[2] >= hip[2] - 0.05 * self.scale
        self.limb(upper_tubes + lower_tubes if near_shank else lower_tubes + upper_tubes)

    # -- head

    def head(self) -> None:
        centre = self.joints['head']
        ears = [(self.project(_on_head(self.body, _EAR, s)), s) for s in (1, -1)]
        nose = self.project(_on_head(self.body, _NOSE))
        bun = self.project(_on_head(self.body, (0, 0.95, -0.55)))
        if self.look.hair_style == 'bun' and bun[2] <= centre[2]:
            self.bun(bun)
        for ear in ears:
            if ear[0][2] <= centre[2]:
                self.ear(*ear)
        if nose[2] <= centre[2]:
            self.nose(nose)
        self.skull()
        for ear in ears:
            if ear[0][2] > centre[2]:
                self.ear(*ear)
        if nose[2] > centre[2]:
            self.nose(nose)
        if self.look.hair_style == 'bun' and bun[2] > centre[2]:
            self.bun(bun)
        if self.look.hair_style == 'cap':
            self.visor()

    def ear(self, centre: np.ndarray, side: int) -> None:
        part = Part.LEFT_EAR if side > 0 else Part.RIGHT_EAR
        radius = 0.21 * self.body.head * self.scale
        self.solid(
            _capsule(centre, centre + (0, 0.3 * radius, 0), radius, 0.8 * radius),
            self.look.skin,
            part,
        )
        self.canvas.fill(centre[:2] + 0.5 * radius * _RING, _shade(self.look.skin, 0.8))

    def nose(self, tip: np.ndarray) -> None:
        bridge = self.project(_on_head(self.body, (0.0, 0.02, 0.95)))
        radius = 0.115 * self.body.head * self.scale
        self.canvas.fill(
            _capsule(bridge, tip, 0.7 * radius, 1.25 * radius), _shade(self.look.skin, 0.78)
        )
        self.canvas.fill(
            _capsule(bridge, tip, 0.6 * radius, radius), _shade(self.look.skin, 0.94), Part.NOSE
        )
        self.canvas.fill(
            tip[:2] + 0.55 * radius * (_RING + 0.4 * self.look.light), _shade(self.look.skin, 1.12)
        )

    def skull(self) -> None:
        """Casts a ray per pixel at an ellipsoid: face and hair turn with the head for free."""
        radius = self.body.head * self.scale
        x0, y0 = np.floor(self.joints['head'][:2] - radius - 2).astype(int)
        side = int(2 * radius + 5)
        rows, cols = np.mgrid[y0 : y0 + side, x0 : x0 + side]
        height, width = self.canvas.parts.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        across = (cols - self.joints['head'][0]) / radius
        down = (rows - self.joints['head'][1]) / radius
        surface, hit = _cast_rays(across, -down, self.body.frames['head'])
        rim = hit & inside
        colours = _face_colours(surface, self.look)
        normal = surface @ self.body.frames['head'].T
        lit = 0.93 + 0.17 * (
            normal[..., 0] * self.look.light[0] - normal[..., 1] * self.look.light[1]
        )
        # A darker rim is the outline of the head.
        edge = np.where(normal[..., 2] < 0.22, 0.72, 1.0)
        colours = np.clip(colours * (lit * edge)[..., None], 0, 255)
        self.canvas.image[rows[rim], cols[rim]] = colours[rim]
        self.canvas.parts[rows[rim], cols[rim]] = Part.HEAD

    def long_hair(self) -> None:
        look, radius = self.look, self.body.head * self.scale
        if look.hair_style == 'tail':
            root = self.project(_on_head(self.body, (0, 0.35, -1.0)))
            tip = self.project(_on_head(self.body, (0, -1.2, -1.45)))
            radii = (0.3 * self.body.head, 0.16 * self.body.head)
            self.limb([_Tube(root, tip, radii, look.hair, Part.HAIR)])
            return
        top = self.project(_on_head(self.body, (0, 0.1, -0.35)))
        ends = [self.project(_on_head(self.body, (s * 0.7, -1.45, -0.5))) for s in (1, -1)]
        rings = [top[:2] + 0.9 * radius * _RING] + [end[:2] + 0.3 * radius * _RING for end in ends]
        self.solid(_hull(*rings), look.hair, Part.HAIR)

    def bun(self, centre: np.ndarray) -> None:
        radius = 0.4 * self.body.head
        self.limb([_Tube(centre, centre, (radius, radius), self.look.hair, Part.HAIR)])

    def visor(self) -> None:
        if (self.body.frames['head'] @ (0, 0, 1))[2] < -0.25:
            return
        points = [(-0.7, 0.5, 0.6), (0.7, 0.5, 0.6), (0.5, 0.46, 1.4), (-0.5, 0.46, 1.4)]
        rim = np.array([self.project(_on_head(self.body, p))[:2] for p in points])
        rings = np.concatenate([p + 0.07 * self.body.head * self.scale * _RING for p in rim])
        self.solid(_hull(rings), _shade(self.look.shirt_accent, 0.85), Part.HAIR)


def _cast_rays(x: np.ndarray, y: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays along -z first meet the head, as points (..., 3) of the unit sphere, and if."""
    origin = (x[..., None] * frame[0] + y[..., None] * frame[1]) / _HEAD_AXES
    ray = frame[2] / _HEAD_AXES
    a, b = ray @ ray, origin @ ray
    c = (origin**2).sum(-1) - 1
    discriminant = b**2 - a * c
    hit = discriminant > 0
    distance = (np.sqrt(np.where(hit, discriminant, 0)) - b) / a
    return origin + distance[..., None] * ray, hit


def _face_colours(surface: np.ndarray, look: Look) -> np.ndarray:
    """Colours (..., 3) of points (..., 3) on the unit head: skin, cheeks, eyes, mouth, hair."""
    x, y, z = np.moveaxis(surface, -1, 0)
    colours = np.empty(surface.shape)
    colours[:] = look.skin
    front = z > 0

    def paint(where: np.ndarray, colour: Colour) -> None:
        colours[where] = colour

    def spot(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> np.ndarray:
        return front & (
            ((np.abs(x) - centre_x) / radius_x) ** 2 + ((y - centre_y) / radius_y) ** 2 < 1
        )

    paint(
        spot(0.52, -0.3, 0.2, 0.15),
        tuple(0.8 * np.array(look.skin) + 0.2 * np.array((90, 90, 235))),
    )
    paint(front & (np.abs(x) < 0.3) & (np.abs(y + 0.6 - 1.3 * x**2) < 0.06), (70, 60, 160))
    paint(spot(0.36, 0.1, 0.2, 0.17), (250, 250, 250))
    paint(spot(0.36, 0.1, 0.115, 0.145), (45, 35, 30))
    paint(
        front
        & (np.abs(np.abs(x) - 0.38) < 0.18)
        & (np.abs(y - 0.42 + (np.abs(x) - 0.36) ** 2) < 0.035),
        _shade(look.hair, 0.8),
    )
    if look.hair_style == 'cap':
        paint(y > 0.40, look.shirt_accent)
        paint((y <= 0.40) & (0.9 * z < 0.35 * y - 0.35), look.hair)
    elif look.hair_style == 'bald':
        paint((y < 0.2) & (z < -0.1), look.hair)
    else:
        # Hair ends in a plane that runs from the forehead to the nape.
        paint(0.62 * y - 0.78 * z > 0.06 + 0.05 * np.sin(9 * x), look.hair)
    return colours


# -------------------------------------------------------------------------------------- scene


def _paint_background(canvas: _Canvas, rng: np.random.Generator) -> None:
    """A gradient with a floor, and things that are not a person."""
    image = canvas.image
    height, width = image.shape[:2]
    hue = rng.uniform(0, 180)
    top = np.array(_hsv(hue, rng.uniform(0, 0.32), rng.uniform(0.5, 1.0)))
    bottom = np.array(_hsv(hue + rng.normal(0, 25), rng.uniform(0, 0.32), rng.uniform(0.5, 1.0)))
    slope = np.linspace(0, 1, height)[:, None, None]
    image[:] = (1 - slope) * top + slope * bottom
    kind = rng.choice(['room', 'stripes', 'blobs', 'shapes', 'plain'])
    if kind == 'stripes':
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(0.08, 0.25) * width
        along, across = (
            np.array([np.cos(angle), np.sin(angle)]),
            np.array([-np.sin(angle), np.cos(angle)]),
        )
        for offset in np.arange(-height, height, pitch):
            middle = np.array([width, height]) / 2 + offset * across
            ends = [middle - 2 * height * along, middle + 2 * height * along]
            _stroke(image, *ends, _shade(tuple(top), 0.9), 0.35 * pitch)
    elif kind == 'blobs':
        coarse = rng.uniform(-28, 28, size=(7, 6, 3)).astype(np.float32)
        texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        np.clip(image + texture, 0, 255, out=texture)
        image[:] = texture
    elif kind == 'shapes':
        for _ in range(rng.integers(4, 10)):
            centre = rng.uniform((0, 0), (width, height))
            _paint_shape(canvas, rng, centre, 0.22 * height, Part.BACKGROUND)
    if kind in ('room', 'plain') or rng.random() < 0.3:
        horizon = int(rng.uniform(0.55, 0.85) * height)
        image[horizon:] = image[horizon:] * rng.uniform(0.7, 0.95)
    for _ in range(rng.integers(0, 4)):
        start, end = rng.uniform((0, 0), (width, height), size=(2, 2))
        colour = _hsv(rng.uniform(0, 180), rng.uniform(0, 0.7), rng.uniform(0.2, 1.0))
        _stroke(image, start, end, colour, rng.uniform(1.5, 0.05 * width))


def _stroke(image: np.ndarray, start, end, colour: Colour, thickness: float) -> None:
    ends = [tuple(int(c) for c in np.rint(point)) for point in (start, end)]
    cv2.line(image, *ends, colour, max(1, round(thickness)), cv2.LINE_AA)


def _paint_shape(canvas: _Canvas, rng: np.random.Generator, centre, size: float, part: Part):
    """Paints a random box, ball or polygon with an outline."""
    corners = rng.choice([3, 4, 4, 5, 24])
    angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
    radii = size * rng.uniform(0.35, 1.0) * np.array([1.0, rng.uniform(0.5, 1.0)])
    polygon = np.asarray(centre) + np.stack((np.cos(angles), np.sin(angles)), 1) * radii
    colour = _hsv(rng.uniform(0, 180), rng.uniform(0.1, 0.7), rng.uniform(0.3, 1.0))
    canvas.outline(polygon, _shade(colour, 0.6), 2)
    canvas.fill(polygon, colour, part)


def _paint_ground(image: np.ndarray, painter: _Painter) -> None:
    """A soft shadow below the feet, and a stool for who sits."""
    joints, scale = painter.joints, painter.scale
    feet = np.stack(
        [joints[f'{side}_{end}'][:2] for side in ('left', 'right') for end in ('heel', 'toe')]
    )
    ground = feet[:, 1].max() + 0.02 * scale
    middle, spread = 0.5 * (feet[:, 0].min() + feet[:, 0].max()), np.ptp(feet[:, 0])
    axes = (int(0.5 * spread + 0.1 * scale), int(0.03 * scale))
    shadow = image.copy()
    cv2.ellipse(shadow, (int(middle), int(ground)), axes, 0, 0, 360, (40, 35, 35), -1, cv2.LINE_AA)
    cv2.addWeighted(shadow, 0.35, image, 0.65, 0, dst=image)
    if painter.body.action.seated:
        seat = joints['pelvis'][:2] + (0, 0.055 * scale)
        for shift in (-0.09, 0.09):
            leg = (seat[0] + shift * scale, seat[1])
            _stroke(
                image, leg, (leg[0] + 0.2 * shift * scale, ground), (50, 75, 105), 0.028 * scale
            )
        _stroke(
            image, seat - (0.1 * scale, 0), seat + (0.1 * scale, 0), (70, 105, 145), 0.04 * scale
        )


def _paint_occluders(canvas: _Canvas, rng: np.random.Generator, painter: _Painter) -> None:
    """Puts one or two objects in front of the person."""
    for _ in range(rng.integers(1, 3)):
        joint = painter.joints[rng.choice(KEYPOINTS[5:])][:2]
        centre = joint + rng.normal(0, 0.06, 2) * painter.scale
        if rng.random() < 0.25:  # a pole
            thickness = rng.uniform(0.02, 0.045) * painter.scale
            reach = np.array([rng.normal(0, 0.1), 3.0]) * canvas.image.shape[0]
            colour = _hsv(rng.uniform(0, 180), rng.uniform(0, 0.4), rng.uniform(0.2, 0.9))
            side = np.array([thickness, 0.0])
            ends = (centre - reach, centre + reach)
            polygon = _hull(*[np.stack((end - side, end + side)) for end in ends])
            canvas.fill(polygon, colour, Part.OCCLUDER)
        else:
            _paint_shape(canvas, rng, centre, rng.uniform(0.08, 0.2) * painter.scale, Part.OCCLUDER)


def _expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera adds: light from one side, contrast, blur, noise."""
    height, width = image.shape[:2]
    gain = rng.normal(1.0, 0.10) + rng.normal(0, 0.10) * np.linspace(-1, 1, width)[None, :]
    gain = gain + rng.normal(0, 0.06) * np.linspace(-1, 1, height)[:, None]
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1))
    noise = rng.standard_normal((height, width), dtype=np.float32) * rng.uniform(0.5, 4.0)
    exposed = image * gain.astype(np.float32)[..., None] + noise[..., None]
    return np.clip(exposed, 0, 255).astype(np.uint8)


def _frame(body: Body, points: np.ndarray, rng: np.random.Generator, height: int):
    """Chooses the picture's width and where the body stands in it.

    Returns:
        (height, width), scale in pixels per unit of body height, origin (3,) in pixels.
    """
    ends = [body.joints[f'{s}_{e}'] for s in ('left', 'right') for e in ('hand', 'toe', 'heel')]
    extent = np.concatenate((points, ends))[:, :2] * (1, -1)
    low, high = extent.min(0) - (0.05, 0.09), extent.max(0) + (0.05, 0.04)
    size = high - low
    width = int(height * np.clip(1.05 * size[0] / size[1], 0.66, 1.0))
    scale = rng.uniform(0.72, 0.95) * min(width / size[0], height / size[1])
    # At times the person comes too close, and the border of the image cuts the figure.
    close = rng.random() < 0.14
    if close:
        scale *= rng.uniform(1.2, 1.5)
    free = np.array([width, height]) - scale * size
    shift = rng.uniform(0.0, 1.0, 2) if close else rng.uniform(0.15, 0.85, 2)
    corner = shift * free
    origin = np.array([*(corner - scale * low), 0.0])
    return (height, width), scale, origin


def draw_figure(rng: np.random.Generator, height: int = 176) -> Figure:
    """Draws one person doing something somewhere.

    Args:
        rng: the only source of chance: equal generators give equal figures.
        height: of the image in pixels; its width follows the pose (0.66 to 1 of the height).

    Returns:
        The picture and its true labels.
    """
    body, look = _sample_body(rng), _sample_look(rng)
    points, turned_away = _body_keypoints(body)
    (height, width), scale, origin = _frame(body, points, rng, height)

    canvas = _Canvas(np.empty((height * _OVERSAMPLE, width * _OVERSAMPLE, 3), np.uint8))
    _paint_background(canvas, rng)
    painter = _Painter(canvas, body, look, scale * _OVERSAMPLE, origin * _OVERSAMPLE)
    if not body.action.lying:
        _paint_ground(canvas.image, painter)
    painter.paint()
    silhouette = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE] > 0
    if rng.random() < 0.25:
        _paint_occluders(canvas, rng, painter)

    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    image = _expose(image, rng)
    parts = canvas.parts[::_OVERSAMPLE, ::_OVERSAMPLE].copy()
    # A pixel's number is its middle, hence the half pixel when the picture shrinks.
    keypoints = (painter.project(points)[:, :2] + 0.5) / _OVERSAMPLE - 0.5
    visibility = visibility_of(parts, keypoints, turned_away)
    bbox = np.array(cv2.boundingRect(silhouette.astype(np.uint8)), float)
    return Figure(image, keypoints, visibility, bbox, parts, silhouette)


# --------------------------------------------------------------------------------- COCO files

_VERSION = 1  # of the drawings: raise it whenever equal seeds stop giving equal pictures


def write_coco(folder: str | Path, split: str, num_images: int, seed: int) -> Path:
    """Writes figures as COCO person keypoints.

    The layout is COCO's own: `annotations/person_keypoints_<split>2017.json` and
    `<split>2017/*.jpg` below `folder`. A complete set of the same parameters is left as it is.

    Args:
        folder: made if it is not there.
        split: 'train' or 'val'; the two never share a figure, whatever the seeds.
        num_images: how many, one person each.
        seed: of the figures.

    Returns:
        The annotation file.

    Raises:
        FileExistsError: the folder holds something else where the set should go.
    """
    if split not in ('train', 'val'):
        raise ValueError(f"split must be 'train' or 'val', not {split!r}")
    folder = Path(folder)
    images, annotation = _coco_paths(folder, split)
    info = _coco_info(split, num_images, seed)
    if _is_complete(annotation, images, info):
        return annotation
    for path in (images, annotation):
        if path.exists():
            raise FileExistsError(
                f'{path} holds something other than {num_images} drawn figures of seed {seed}: '
                'choose another folder, or remove it.'
            )
    annotation.parent.mkdir(parents=True, exist_ok=True)
    # Whatever is interrupted leaves only a hidden folder, which the next call replaces.
    partial = folder / f'.{images.name}.partial'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    content = _draw_set(partial, split, num_images, seed)
    partial_annotation = partial.with_suffix('.json')
    partial_annotation.write_text(json.dumps({'info': info, **content}))
    partial.rename(images)
    partial_annotation.rename(annotation)
    return annotation


def _coco_paths(folder: Path, split: str) -> tuple[Path, Path]:
    name = f'{split}2017'
    return folder / name, folder / 'annotations' / f'person_keypoints_{name}.json'


def _coco_info(split: str, num_images: int, seed: int) -> dict:
    return {
        'description': 'human figures drawn by okdhp_mm',
        'version': _VERSION,
        'split': split,
        'num_images': num_images,
        'seed': seed,
    }


def _is_complete(annotation: Path, images: Path, info: dict) -> bool:
    try:
        content = json.loads(annotation.read_text())
        return content['info'] == info and all(
            (images / image['file_name']).is_file() for image in content['images']
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _draw_set(folder: Path, split: str, num_images: int, seed: int) -> dict:
    content = {
        'images': [],
        'annotations': [],
        'categories': [
            {
                'id': 1,
                'name': 'person',
                'supercategory': 'person',
                'keypoints': list(KEYPOINTS),
                'skeleton': [[a + 1, b + 1] for a, b in SKELETON],
            }
        ],
    }
    for index in range(1, num_images + 1):
        rng = np.random.default_rng([zlib.crc32(split.encode()), seed, index])
        figure = draw_figure(rng)
        name = f'{index:012d}.jpg'
        cv2.imwrite(str(folder / name), figure.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        height, width = figure.image.shape[:2]
        content['images'].append({'id': index, 'file_name': name, 'height': height, 'width': width})
        content['annotations'].append(_annotation(figure, index))
    return content


def _annotation(figure: Figure, index: int) -> dict:
    labelled = figure.visibility > 0
    xyv = np.column_stack((figure.keypoints.round(2), figure.visibility))
    xyv[~labelled] = 0
    mask = figure.silhouette.astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # mmpose copies every annotation for every sample: few corners keep its pipeline quick.
    contours = [cv2.approxPolyDP(contour, 1.0, True) for contour in contours]
    return {
        'id': index,
        'image_id': index,
        'category_id': 1,
        'iscrowd': 0,
        'bbox': figure.bbox.tolist(),
        'area': int(figure.silhouette.sum()),
        # Three corners are the fewest that make a polygon.
        'segmentation': [c.ravel().tolist() for c in contours if len(c) >= 3],
        'num_keypoints': int(labelled.sum()),
        'keypoints': xyv.ravel().tolist(),
    }
