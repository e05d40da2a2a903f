"""Colors of keypoints and of the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from ..keypoint_names import find_flip_pairs
from .primitives import BLUE, GREEN, ORANGE, Color, distinct_color

SIDES = 'The left is orange, the right is blue, each other keypoint has a color of its own.'
PALETTE = 'Each keypoint has a color of its own, because the names do not tell left and right.'
SPARE = 48
"""Number of colors to choose from beyond those that are needed: more lie further apart."""


def color_legend(names: Sequence[str]) -> str:
    """Return a sentence on the colors of keypoints with these names."""
    return SIDES if find_flip_pairs(names) else PALETTE


@cache
def keypoint_colors(names: tuple[str, ...]) -> list[Color]:
    """Return the color of each keypoint: of its side, or its own if its name tells no side."""
    pairs = find_flip_pairs(names)
    sides = {left: ORANGE for left, _ in pairs} | {right: BLUE for _, right in pairs}
    others = iter(other_colors(len(names) - len(sides)))
    return [sides[name] if name in sides else next(others) for name in names]


def other_colors(count: int) -> list[Color]:
    """Return green and then the colors that are easiest to tell from the sides and each other."""
    pool = [ORANGE, BLUE, GREEN, *map(distinct_color, range(count + SPARE))]
    bgr = np.array([pool], np.float32) / 255
    lab = cv2.cvtColor(bgr, cv2.COLOR_BGR2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)
    chosen = [0, 1, 2]
    while len(chosen) < count + 2:
        chosen.append(int(apart[chosen].min(axis=0).argmax()))
    return [pool[index] for index in chosen[2 : count + 2]]


def line_color(start: Color, end: Color) -> Color:
    """Return the color of a line between keypoints of these colors."""
    if start == end:
        return start
    others = [color for color in (start, end) if color not in (ORANGE, BLUE)]
    # A line from one side to the other belongs to neither.
    return others[-1] if others else GREEN
