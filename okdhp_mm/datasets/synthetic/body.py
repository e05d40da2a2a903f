"""A person's 3-D joints, as seen from the camera."""

from dataclasses import dataclass

import numpy as np

from .pose import Action, Limb, sample_action
from .skeleton import KEYPOINTS, SIDES

# Directions from the middle of the head to what is on its surface, in the frame of the head.
EYE, EAR, NOSE = (0.36, 0.10, 0.90), (0.98, -0.05, -0.08), (0.0, -0.14, 1.12)
# The head is an ellipsoid: its half axes, in units of its radius.
HEAD_AXES = np.array([0.84, 1.0, 0.93])


@dataclass(frozen=True)
class Body:
    """3-D joints (already seen from the camera) and the size of a person.

    Attributes:
        joints: name -> (3,) position, in units of body height.
        frames: name -> (3, 3) rotation of 'trunk', 'pelvis' and 'head'.
        girth: how stout, about 1.
        head: radius of the head.
        action: of the person.
    """

    joints: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    girth: float
    head: float
    action: Action

    def on_head(self, direction: tuple[float, float, float], side: int = 1) -> np.ndarray:
        """Return a point (3,) of the head's surface, or off it if `direction` is longer than 1.

        Args:
            direction: in the frame of the head, as if on the left.
            side: 1 left, -1 mirrored to the right.

        Returns:
            The position in units of body height.
        """
        local = np.array(direction) * (side, 1, 1) * HEAD_AXES * self.head
        return self.joints['head'] + self.frames['head'] @ local

    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (17, 3) keypoints and which (17,) are on the far side of their own part."""
        points = [self.on_head(NOSE)]
        points += [self.on_head(spot, side) for spot in (EYE, EAR) for side in SIDES.values()]
        points += [self.joints[name] for name in KEYPOINTS[5:]]
        away = np.zeros(len(KEYPOINTS), bool)
        for name, side in SIDES.items():
            outward = self.frames['head'] @ (np.array(EYE) * (side, 1, 1) / HEAD_AXES)
            away[KEYPOINTS.index(f'{name}_eye')] = outward[2] < 0.1
            # Shoulders and hips lie inside the trunk: from the side the trunk hides the far ones.
            for joint, frame in (('shoulder', 'trunk'), ('hip', 'pelvis')):
                outward = self.frames[frame] @ (side, 0, 0)
                away[KEYPOINTS.index(f'{name}_{joint}')] = outward[2] < -0.6
        return np.array(points), away


def sample_body(rng: np.random.Generator) -> Body:
    """Draw a person's pose, size and orientation to the camera."""
    action, arms, legs = sample_action(rng)
    frames = _sample_frames(rng, action)
    pelvis, trunk = frames['pelvis'], frames['trunk']
    trunk_length, shoulder_width, arm_length, *leg_lengths = rng.normal(1, 0.05, size=5)
    head = rng.uniform(0.076, 0.098)
    hip_width = rng.normal(1, 0.06)

    joints: dict[str, np.ndarray] = {'pelvis': np.zeros(3)}
    joints['waist'] = pelvis @ (0, 0.07, 0)
    joints['neck'] = joints['waist'] + trunk @ (0, 0.235 * trunk_length, 0)
    skull = frames['head'] @ (0, 0.035 + head, 0.012)
    joints['head'] = joints['neck'] + trunk @ (0, 0.02, 0) + skull
    for (name, side), arm, leg in zip(SIDES.items(), arms, legs, strict=True):
        shoulder = joints['neck'] + trunk @ (side * 0.108 * shoulder_width, -0.022, 0)
        hip = pelvis @ (side * 0.058 * hip_width, 0, 0)
        limbs = _bend_arm(arm, side, shoulder, trunk, arm_length)
        limbs |= _bend_leg(leg, side, hip, pelvis, leg_lengths, rng.normal(0, 6))
        joints |= {f'{name}_{joint}': position for joint, position in limbs.items()}
    return Body(joints, frames, rng.uniform(0.88, 1.22), head, action)


def _sample_frames(rng: np.random.Generator, action: Action) -> dict[str, np.ndarray]:
    view = _sample_view(rng, action.lying)
    turn = rng.normal(0, 7)
    lean, bend = action.lean + rng.normal(0, 5), rng.normal(0, 5)
    nod, look, tilt = rng.normal(-0.5 * lean, 8), rng.normal(0, 20), rng.normal(0, 6)
    trunk = view @ _rotation(0, lean) @ _rotation(2, bend) @ _rotation(1, -turn)
    return {
        'trunk': trunk,
        'pelvis': view @ _rotation(0, 0.3 * action.lean) @ _rotation(1, turn),
        'head': trunk @ _rotation(1, look) @ _rotation(0, nod) @ _rotation(2, tilt),
    }


def _sample_view(rng: np.random.Generator, lying: bool) -> np.ndarray:
    """Draw the rotation from the body to the camera, mostly from the front."""
    yaw = rng.normal(0, 30) if rng.random() < 0.6 else rng.uniform(-180, 180)
    roll = rng.choice((-90, 90)) + rng.normal(0, 15) if lying else rng.normal(0, 5)
    return _rotation(2, roll) @ _rotation(0, rng.normal(4, 7)) @ _rotation(1, yaw)


def _bend_arm(
    angles: Limb, side: int, shoulder: np.ndarray, trunk: np.ndarray, length: float
) -> dict[str, np.ndarray]:
    upper = trunk @ _rotation(2, side * angles.abduction) @ _rotation(0, -angles.flexion)
    upper = upper @ _rotation(1, -side * angles.twist)
    fore = upper @ _rotation(0, -angles.joint)
    elbow = shoulder + upper @ (0, -0.162 * length, 0)
    wrist = elbow + fore @ (0, -0.142 * length, 0)
    hand = wrist + fore @ (0, -0.036, 0)
    return {'shoulder': shoulder, 'elbow': elbow, 'wrist': wrist, 'hand': hand}


def _bend_leg(
    angles: Limb,
    side: int,
    hip: np.ndarray,
    pelvis: np.ndarray,
    lengths: list[float],
    foot_tilt: float,
) -> dict[str, np.ndarray]:
    thigh = pelvis @ _rotation(2, side * angles.abduction) @ _rotation(0, -angles.flexion)
    thigh = thigh @ _rotation(1, side * (angles.twist + 8))
    shank = thigh @ _rotation(0, angles.joint)
    # A foot stays level where the ankle can do it, else it follows the shank.
    foot = shank @ _rotation(0, foot_tilt + 0.4 * max(0.0, angles.flexion - angles.joint))
    knee = hip + thigh @ (0, -0.235 * lengths[0], 0)
    ankle = knee + shank @ (0, -0.225 * lengths[1], 0)
    heel = ankle + foot @ (0, -0.022, -0.018)
    toe = ankle + foot @ (0, -0.026, 0.085)
    return {'hip': hip, 'knee': knee, 'ankle': ankle, 'heel': heel, 'toe': toe}


def _rotation(axis: int, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = -sin, sin
    return matrix
