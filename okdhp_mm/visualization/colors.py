"""Colors of keypoints and of the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..keypoint_names import find_flip_pairs
from .primitives import BLUE, GREEN, ORANGE, Color, distinct_color

SIDES = 'The left is orange, the right is blue, the rest is green.'
PALETTE = 'Each keypoint has a color of its own, because the names do not tell left and right.'


def color_legend(names: Sequence[str]) -> str:
    """Return a sentence on the colors of keypoints with these names."""
    return SIDES if find_flip_pairs(names) else PALETTE


@cache
def keypoint_colors(names: tuple[str, ...]) -> list[Color]:
    """Return the color of each keypoint: of its side, or its own if no name tells a side."""
    pairs = find_flip_pairs(names)
    if not pairs:
        return [distinct_color(number) for number in range(len(names))]
    sides = {left: ORANGE for left, _ in pairs} | {right: BLUE for _, right in pairs}
    return [sides.get(name, GREEN) for name in names]


def line_color(start: Color, end: Color) -> Color:
    """Return the color of a line between keypoints of these colors."""
    if start == end:
        return start
    # A line from one side to the other belongs to neither.
    return GREEN if {start, end} <= {ORANGE, BLUE, GREEN} else end
