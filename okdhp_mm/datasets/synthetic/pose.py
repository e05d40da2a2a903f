"""Typical poses as joint angles, and their variation within human limits."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Limb(NamedTuple):
    """Angles in degrees of an arm or a leg; `joint` is the elbow or the knee."""

    flexion: float
    abduction: float
    twist: float
    joint: float


# The least and the greatest angles.
_ARM_LIMITS = Limb(-50, -5, -30, 0), Limb(175, 170, 80, 145)
_LEG_LIMITS = Limb(-25, 0, -15, 0), Limb(120, 60, 25, 140)


@dataclass(frozen=True)
class Action:
    """A typical pose, in degrees.

    Attributes:
        name: of the activity.
        weight: how often, relative to the other actions.
        arms: mean angles (as in `Limb`) of one arm and of the other.
        legs: the same of the legs.
        lean: of the trunk, forwards.
        spread: standard deviation of the angles.
        lying: turned by a quarter.
    """

    name: str
    weight: float
    arms: tuple[tuple[float, ...], tuple[float, ...]]
    legs: tuple[tuple[float, ...], tuple[float, ...]]
    lean: float = 0.0
    spread: float = 9.0
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
    Action('sit', 1.8, ((30, 8, 20, 60),) * 2, ((84, 10, 0, 88),) * 2, 3),
    Action('crouch', 0.9, ((65, 12, 10, 30),) * 2, ((105, 22, 0, 125),) * 2, 35),
    Action('lunge', 1.2, ((60, 12, 15, 80),) * 2, ((75, 8, 0, 90), (-15, 5, 0, 20)), 10),
    Action('kick', 1.2, ((30, 50, 0, 30), (-20, 60, 0, 20)), ((85, 12, 0, 15), (0, 5, 0, 10)), -8),
    Action('dance', 0.9, ((90, 60, 30, 60), (60, 60, 30, 60)), ((30, 15, 0, 30),) * 2, 8, 24),
    Action('lie', 0.6, ((30, 20, 0, 40),) * 2, ((15, 10, 0, 20),) * 2, 0, 14, lying=True),
)


def sample_action(rng: np.random.Generator) -> tuple[Action, list[Limb], list[Limb]]:
    """Choose an action and one person's version of it.

    Returns:
        The action, the (left, right) arms and the (left, right) legs.
    """
    weights = np.array([action.weight for action in ACTIONS])
    action = ACTIONS[rng.choice(len(ACTIONS), p=weights / weights.sum())]
    # A coin toss decides on the arm that waves and the leg that leads, together.
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    arms = [_vary(action.arms[i], action.spread, _ARM_LIMITS, rng) for i in order]
    legs = [_vary(action.legs[i], action.spread, _LEG_LIMITS, rng) for i in order]
    return action, arms, legs


def _vary(
    angles: tuple[float, ...], spread: float, limits: tuple[Limb, Limb], rng: np.random.Generator
) -> Limb:
    varied = np.array(angles) + rng.normal(size=4) * spread * np.array([1.0, 0.6, 1.0, 1.2])
    return Limb(*np.clip(varied, *limits))
