"""Give the poses of a video identities: from a file, or while they are found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import UserError
from .draw import TrailDrawer
from .formats import PoseVideo
from .modes import Tracker, build_tracker
from .smooth import one_euro, savitzky_golay
from .tracker import REJECTED, body_heights

SMOOTHERS = ('none', 'one_euro', 'savitzky_golay')


def track_video(video: PoseVideo, mode: str = 'online', **settings) -> int:
    """Give the poses of a video identities, in place.

    Args:
        video: The poses.
        mode: See :func:`~.modes.build_tracker`.
        settings: Settings of the tracker.

    Returns:
        Number of identities.

    Raises:
        UserError: If the poses or the settings cannot be used.
    """
    tracker = build_tracker(mode, **settings)
    for frame in video.frames:
        # The height of a single keypoint is that of its box.
        boxes = frame.boxes if frame.keypoints.shape[1] == 1 else None
        try:
            tracker.update(frame.time, frame.keypoints, frame.scores, boxes)
        except ValueError as error:
            raise UserError(f'Frame {frame.number}: {error}') from None
    for frame, ids in zip(video.frames, tracker.finish(), strict=True):
        frame.ids = ids
    named = {int(i) for frame in video.frames for i in frame.ids}
    return len(named - {REJECTED})


def smooth_video(video: PoseVideo, smoother: str) -> float:
    """Smooth the poses of each identity, in place.

    Args:
        video: Poses with identities.
        smoother: One of :data:`SMOOTHERS`.

    Returns:
        Mean distance that keypoints moved, in body heights.
    """
    if smoother not in SMOOTHERS:
        raise UserError(f'smoother={smoother!r} does not exist. Use one of: {", ".join(SMOOTHERS)}')
    places: dict[int, list[tuple[int, int]]] = {}
    for index, frame in enumerate(video.frames):
        for n in np.flatnonzero(frame.ids != REJECTED):
            places.setdefault(int(frame.ids[n]), []).append((index, n))
    moved = []
    for track in places.values() if smoother != 'none' else ():
        frames = [(video.frames[index], n) for index, n in track]
        times = np.array([frame.time for frame, _ in frames])
        poses = np.stack([frame.keypoints[n] for frame, n in frames])
        found = np.stack([frame.scores[n] > 0 for frame, n in frames])
        poses = np.where(found[..., None] & np.isfinite(poses), poses, np.nan)
        height = float(np.median(body_heights(poses))) or 1.0
        if smoother == 'one_euro':
            smooth = one_euro(times, poses, height)
        else:
            smooth = savitzky_golay(times, poses)
        moved += (np.linalg.norm(smooth - poses, axis=-1) / height)[found].tolist()
        for (frame, n), pose in zip(frames, smooth, strict=True):
            seen = np.isfinite(pose).all(-1)
            frame.keypoints[n][seen] = pose[seen]
    return float(np.nanmean(moved)) if moved else 0.0


def draw_video(source: Path, video: PoseVideo, target: Path, threshold: float = 0.3) -> int:
    """Draw poses with identities over a video; return the number of frames.

    The drawing takes its name when it is complete.

    Raises:
        UserError: If a video cannot be read or written.
    """
    film, writer = cv2.VideoCapture(str(source)), None
    frames = {frame.number: frame for frame in video.frames}
    drawer, count = TrailDrawer(video.skeleton, threshold), 0
    # A video writer looks at the suffix of its file.
    unfinished = target.with_name(f'.{target.stem}.unfinished.mp4')
    try:
        while True:
            there, image = film.read()
            if not there:
                break
            if (frame := frames.get(count)) is not None:
                image = drawer.draw(image, frame.time, frame.keypoints, frame.scores, frame.ids)
            if writer is None:
                code = cv2.VideoWriter.fourcc(*'mp4v')
                writer = cv2.VideoWriter(str(unfinished), code, video.rate, image.shape[1::-1])
                if not writer.isOpened():
                    raise UserError(f'{target} cannot be written.')
            writer.write(image)
            count += 1
        if not count:
            raise UserError(f'{source} cannot be read: it is empty, damaged or not a video.')
        assert writer is not None  # The first frame opened it.
        writer.release()
        os.replace(unfinished, target)
    finally:
        film.release()
        if writer is not None:
            writer.release()
        unfinished.unlink(missing_ok=True)
    return count


class LiveIdentities:
    """Gives poses identities while they are found, in constant memory.

    Args:
        skeleton: Pairs of keypoint indices that a line connects.
        threshold: Least score of a keypoint that is drawn.
        tracker: By default the online tracker.
    """

    def __init__(
        self, skeleton: Sequence[Sequence[int]], threshold: float, tracker: Tracker | None = None
    ):
        self.tracker = tracker or build_tracker(history=False)
        self.drawer = TrailDrawer(skeleton, threshold)

    def name(self, time: float, persons: Sequence[dict]) -> None:
        """Add ``track_id`` to each person of a frame; -1 without an identity."""
        keypoints = np.array([person['keypoints'] for person in persons], float)
        scores = np.array([person['keypoint_scores'] for person in persons], float)
        boxes = None
        if keypoints.shape[1:2] == (1,):
            boxes = np.array([np.ravel(person['bbox'])[:4] for person in persons], float)
        ids = self.tracker.update(time, keypoints, scores, boxes)
        for person, identity in zip(persons, ids.tolist(), strict=True):
            person['track_id'] = identity

    def draw(self, image: np.ndarray, time: float, persons: Sequence[dict]) -> np.ndarray:
        """Return a copy of the frame with poses, trails and identities."""
        return self.drawer.draw(
            image,
            time,
            np.array([person['keypoints'] for person in persons], float),
            [person['keypoint_scores'] for person in persons],
            [person['track_id'] for person in persons],
        )
