"""PoseFlow: identities from flows of poses over a window (numpy only).

Xiu et al., Pose Flow: Efficient Online Pose Tracking, BMVC 2018 (arXiv 1802.00977).

Public are the idea and the results: a builder associates poses of neighboring frames into flows
that maximize the confidence over a window, and a non-maximum suppression of flows removes
duplicates and links flows that are apart in time. The rest is our reading: the similarity of
keypoints takes the place of matched image points and of the paper's two distances of poses, and
the constants are ours. Keypoints of duplicates are not averaged, because a tracker returns
identities. The released code follows another rule, see ``poseflow_released.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .tracker import REJECTED, Poses, Reader, similarity

Flow = dict[int, int]
"""Index of the pose in each frame of the window that belongs to a person."""


@dataclass(frozen=True)
class PoseFlowSettings:
    """Settings of :class:`PoseFlow`.

    Attributes:
        sigmas: Uncertainty of each keypoint in body heights, (K,), or one for all.
        window: Seconds over which flows are built.
        min_similarity: Similarity to a pose from which one of the next frame may continue it.
        min_gain: Mean score of a pose that ends a flow if no candidate reaches it.
        merge: Median similarity above which two flows are the same person.
        weak_score: Mean keypoint score below which a pose is rejected.
    """

    sigmas: Sequence[float] | float = 0.08
    window: float = 1.0
    min_similarity: float = 0.2
    min_gain: float = 0.2
    merge: float = 0.5
    weak_score: float = 0.1


class PoseFlow:
    """Tracker of poses by flows over a window; names all poses in :meth:`finish`.

    Windows share one frame, through which the flows of the next one take over identities.

    Args:
        history: Must be True: a pose has no identity before its window ends.
        settings: See :class:`PoseFlowSettings`.

    Raises:
        ValueError: If the history is off.
    """

    def __init__(self, history: bool = True, **settings):
        if not history:
            raise ValueError("mode='poseflow' names poses afterwards. Build it with history=True.")
        self.settings = PoseFlowSettings(**settings)
        self._reader = Reader(self.settings.sigmas)
        self._named: list[np.ndarray] = []
        self._window: list[tuple[float, Poses, np.ndarray]] = []
        self._next = 0

    def update(self, time_s, keypoints, scores, boxes=None) -> np.ndarray:
        """Add the poses of the next frame; see :meth:`PoseTracker.update` for the arguments.

        Returns:
            -1 for each pose.
        """
        poses = self._reader.read(time_s, keypoints, scores, boxes)
        ids = np.full(len(poses), REJECTED)
        self._named.append(ids)
        self._window.append((time_s, poses, ids))
        if time_s - self._window[0][0] >= self.settings.window:
            self._close()
        return ids.copy()

    def finish(self) -> list[np.ndarray]:
        """Return the identities of every update so far; -1 for duplicates and single sightings."""
        if len(self._window) > 1:
            self._close()
        return [ids.copy() for ids in self._named]

    def _close(self) -> None:
        """Name the poses of the window; keep its last frame for the next one."""
        frames = [poses for _, poses, _ in self._window]
        ids = [ids for _, _, ids in self._window]
        taken: set[tuple[int, int]] = set()
        for flow in self._suppress(self._build(frames), frames):
            flow = {t: n for t, n in flow.items() if (t, n) not in taken}
            if len(flow) < 2:
                continue
            identity = ids[0][flow[0]] if 0 in flow else REJECTED
            if identity == REJECTED:
                identity, self._next = self._next, self._next + 1
            for t, n in flow.items():
                ids[t][n] = identity
            taken.update(flow.items())
        del self._window[:-1]

    def _build(self, frames: list[Poses]) -> list[Flow]:
        """Return a flow from every pose that no earlier flow goes through."""
        alike = [
            similarity(one.keypoints, one.sizes, other, self.settings.sigmas)
            for one, other in zip(frames, frames[1:], strict=False)
        ]
        flows: list[Flow] = []
        covered: set[tuple[int, int]] = set()
        for t, poses in enumerate(frames):
            usable = (poses.scores >= self.settings.weak_score) & (poses.sizes > 0)
            for n in np.flatnonzero(usable):
                if (t, n) not in covered:
                    flow = self._extend(frames, alike, t, n)
                    covered.update(flow.items())
                    flows.append(flow)
        return flows

    def _extend(self, frames: list[Poses], alike: list[np.ndarray], start: int, pose: int) -> Flow:
        """Return the path from a pose with the highest sum of scores."""
        total = np.full(len(frames[start]), -np.inf)
        total[pose] = frames[start].scores[pose]
        origins: list[np.ndarray] = []
        for t in range(start, len(frames) - 1):
            reachable = alike[t] >= self.settings.min_similarity
            following = np.where(reachable, total[:, None] + frames[t + 1].scores, -np.inf)
            best = following.max(0, initial=-np.inf)
            if not best.max(initial=-np.inf) - total.max() >= self.settings.min_gain:
                break
            origins.append(following.argmax(0))
            total = best
        here = int(total.argmax())
        flow = {start + len(origins): here}
        for t in reversed(range(len(origins))):
            here = int(origins[t][here])
            flow[start + t] = here
        return flow

    def _suppress(self, flows: list[Flow], frames: list[Poses]) -> list[Flow]:
        """Merge flows of the same person into the most confident one; return the best first."""

        def confidence(flow: Flow) -> float:
            return sum(frames[t].scores[n] for t, n in flow.items())

        within = [similarity(p.keypoints, p.sizes, p, self.settings.sigmas) for p in frames]
        waiting, merged = sorted(flows, key=confidence, reverse=True), []
        while waiting:
            person, apart = waiting.pop(0), []
            for flow in waiting:
                if self._alike(person, flow, frames, within) > self.settings.merge:
                    person = flow | person
                else:
                    apart.append(flow)
            merged.append(person)
            waiting = apart
        return merged

    def _alike(
        self, one: Flow, other: Flow, frames: list[Poses], within: list[np.ndarray]
    ) -> float:
        """Return the median similarity in common frames, or that of the ends that face each other.

        The second case links flows that are apart in time.

        Args:
            one: Flow.
            other: Flow.
            frames: Poses of the window.
            within: Similarities of the poses of each frame with each other, (N, N).
        """
        common = one.keys() & other.keys()
        if common:
            return float(np.median([within[t][one[t], other[t]] for t in common]))
        first, second = sorted((one, other), key=min)
        end, start = max(t for t in first if t < min(second)), min(second)
        last, next_ = np.array([first[end]]), np.array([second[start]])
        poses = frames[end][last]
        return similarity(
            poses.keypoints, poses.sizes, frames[start][next_], self.settings.sigmas
        ).item()
