"""Draw poses with one color per identity, and the trails of the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from ..visualization.primitives import (
    FAR,
    WHITE,
    Color,
    distinct_color,
    draw_disc,
    draw_line,
    draw_outlined_text,
)
from .tracker import REJECTED

GRAY: Color = (150, 150, 150)


class TrailDrawer:
    """Draws the poses of frame after frame, one color per identity.

    Args:
        skeleton: Pairs of keypoint indices that a line connects.
        threshold: Least score of a keypoint that is drawn.
        trail: Length of the trail of a person in seconds.
    """

    def __init__(
        self, skeleton: Sequence[Sequence[int]], threshold: float = 0.3, trail: float = 1.0
    ):
        self.skeleton, self.threshold, self.trail = skeleton, threshold, trail
        self._trails: dict[int, deque[tuple[float, np.ndarray]]] = {}

    def draw(
        self,
        image: np.ndarray,
        time: float,
        keypoints: np.ndarray,
        scores: np.ndarray | Sequence[Sequence[float]],
        ids: np.ndarray | Sequence[int],
    ) -> np.ndarray:
        """Return a copy of the frame with poses (N, K, 2), trails and identities."""
        canvas = image.copy()
        thickness = max(2, round(min(image.shape[:2]) / 200))
        for pose, score, identity in zip(keypoints, scores, ids, strict=True):
            # A comparison with NaN is False.
            near = (np.abs(pose) < FAR).all(-1)
            shown = (np.asarray(score) >= self.threshold) & near
            if identity != REJECTED and shown.any():
                middle = np.median(pose[shown], axis=0)
                self._trails.setdefault(int(identity), deque()).append((time, middle))
            self._pose(canvas, np.asarray(pose), shown, color_of(identity), thickness)
        for identity, points in list(self._trails.items()):
            while points and time - points[0][0] > self.trail:
                points.popleft()
            if not points:
                del self._trails[identity]
                continue
            places = [point for _, point in points]
            for one, other in zip(places, places[1:], strict=False):
                draw_line(canvas, one, other, color_of(identity), thickness)
            if points[-1][0] == time:
                x, y = (int(v) for v in places[-1])
                draw_outlined_text(canvas, str(identity), (x, y))
        return canvas

    def _pose(self, canvas, pose, shown, color, thickness) -> None:
        for a, b in self.skeleton:
            if shown[a] and shown[b]:
                draw_line(canvas, pose[a], pose[b], WHITE, thickness + 2)
                draw_line(canvas, pose[a], pose[b], color, thickness)
        for point in pose[shown]:
            draw_disc(canvas, point, thickness + 0.5, color)


def color_of(identity: int) -> Color:
    """Return the color of an identity in BGR; gray for none."""
    return GRAY if identity == REJECTED else distinct_color(identity)
