"""Read the poses of a video from a file, and write them with identities."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..io.atomic import write_text
from ..io.data_files import read_json
from .tracker import REJECTED

LAYOUTS = (
    'the predictions of `infer` or of mmpose ({"instance_info": [{"frame_id", "instances"}]}'
    '), COCO results ([{"image_id", "keypoints", "score"}]), or COCO or PoseTrack annotations '
    '({"images", "annotations"})'
)
FALLBACK_RATE = 25.0
"""Frames per second where neither the file nor the user says."""


@dataclass
class PoseFrame:
    """Poses of one frame.

    Attributes:
        number: Number of the frame in the video.
        time: In seconds.
        keypoints: (N, K, 2).
        scores: (N, K).
        boxes: (N, 4) x1, y1, x2, y2; None if the file has none.
        box_scores: (N,).
        ids: Identities, (N,).
    """

    number: int
    time: float
    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray | None
    box_scores: np.ndarray
    ids: np.ndarray = field(init=False)

    def __post_init__(self):
        self.ids = np.full(len(self.keypoints), REJECTED)


@dataclass
class PoseVideo:
    """Poses of a video.

    Attributes:
        frames: In the order of time.
        rate: Frames per second.
        keypoint_names: The K names; empty if the file has none.
        skeleton: Pairs of keypoint indices that a line connects.
        meta: Other information of the file.
    """

    frames: list[PoseFrame]
    rate: float
    keypoint_names: Sequence[str] = ()
    skeleton: Sequence[Sequence[int]] = ()
    meta: dict = field(default_factory=dict)


def read_poses(
    file: Path, rate: float | None = None, fallback_rate: float = FALLBACK_RATE
) -> PoseVideo:
    """Read the poses of a video.

    Args:
        file: In one of the layouts of :data:`LAYOUTS`.
        rate: Frames per second; by default the times of the file, or its rate.
        fallback_rate: Frames per second if the file does not say.

    Raises:
        UserError: If the file cannot be read, has another layout or contradicts itself.
    """
    if rate is not None:
        check_rate(rate)
    content = read_json(file)
    try:
        return _parse(content, rate, fallback_rate)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f'{file} is in none of the known layouts ({error!r}): {LAYOUTS}.'
        ) from error


def check_rate(rate: float) -> None:
    """Raise UserError if a number of frames per second is not positive."""
    if not 0 < rate < float('inf'):
        raise UserError(f'{rate:g} frames per second: give a positive number.')


def _parse(content: Any, rate: float | None, fallback_rate: float) -> PoseVideo:
    meta: dict[str, Any] = {}
    names: Sequence[str] = ()
    skeleton: Sequence[Sequence[int]] = ()
    if isinstance(content, dict) and 'instance_info' in content:
        meta = content.get('meta_info') or {}
        names, skeleton = meta.get('keypoint_names') or (), meta.get('skeleton') or ()
        entries = content['instance_info']
    elif isinstance(content, dict):
        (category, *_) = content.get('categories') or [{}]
        names = category.get('keypoints') or ()
        skeleton = [[a - 1, b - 1] for a, b in category.get('skeleton') or ()]
        entries = _from_annotations(content['images'], content['annotations'])
    elif content and 'instances' not in content[0]:
        entries = _from_results(content)
    else:
        entries = content
    if rate is not None:
        entries = [dict(entry, time=entry['frame_id'] / rate) for entry in entries]
    rate = rate or meta.get('frame_rate') or fallback_rate
    check_rate(rate)
    frames = [_frame(entry, rate) for entry in sorted(entries, key=lambda e: e['frame_id'])]
    counts = {frame.keypoints.shape[1] for frame in frames if len(frame.keypoints)}
    if len(counts) > 1:
        raise UserError(
            f'Poses have {min(counts)} and {max(counts)} keypoints. Give all the same number.'
        )
    for count in counts:
        _check_skeleton(count, names, skeleton)
    return PoseVideo(frames, rate, names, skeleton, meta)


def _check_skeleton(count: int, names: Sequence[str], skeleton: Sequence[Sequence[int]]) -> None:
    if names and len(names) != count:
        raise UserError(f'The file names {len(names)} keypoints, but its poses have {count}.')
    for one, other in skeleton:
        if not (0 <= one < count and 0 <= other < count):
            raise UserError(
                f'The skeleton connects keypoints {one} and {other} (counted from 0), but the '
                f'poses have {count} keypoints.'
            )


def _from_annotations(images: list[dict], annotations: list[dict]) -> list[dict]:
    videos = {image['vid_id'] for image in images if 'vid_id' in image}
    if len(videos) > 1:
        raise UserError(f'The file has {len(videos)} videos. Give one file for each.')
    entries = {
        image['id']: dict(frame_id=image.get('frame_id', image['id']), instances=[])
        for image in images
    }
    for person in annotations:
        if person.get('keypoints'):
            entries[person['image_id']]['instances'].append(_from_triples(person))
    return list(entries.values())


def _from_results(results: list[dict]) -> list[dict]:
    entries: dict[int, dict] = {}
    for person in results:
        number = person['image_id']
        entry = entries.setdefault(number, dict(frame_id=number, instances=[]))
        entry['instances'].append(_from_triples(person))
    return list(entries.values())


def _from_triples(person: dict) -> dict:
    values = np.reshape(np.asarray(person['keypoints'], float), (-1, 3))
    scores = values[:, 2]
    # Annotations have a visibility of 0, 1 or 2 instead of a score.
    scores = np.asarray(person.get('scores') or np.minimum(scores, 1), float)
    found: dict[str, Any] = dict(keypoints=values[:, :2], keypoint_scores=scores)
    if person.get('bbox'):
        x, y, width, height = person['bbox']
        found['bbox'] = [x, y, x + width, y + height]
    return found | dict(bbox_score=person.get('score', 1.0))


def _frame(entry: dict, rate: float) -> PoseFrame:
    persons, number = entry['instances'], int(entry['frame_id'])
    if not all(len(person['keypoints']) for person in persons):
        raise UserError(f'Frame {number}: a pose has no keypoints. Remove it.')
    keypoints = [np.asarray(person['keypoints'], float)[:, :2] for person in persons]
    # A score that is not a number belongs to a keypoint that was not found.
    scores = [_finite(np.asarray(person['keypoint_scores'], float)) for person in persons]
    counts = {len(values) for values in (*keypoints, *scores)}
    if len(counts) > 1:
        raise UserError(
            f'Frame {number}: poses and scores have {min(counts)} and {max(counts)} keypoints. '
            'Give all the same number.'
        )
    boxes = [np.ravel(person['bbox'])[:4] for person in persons if person.get('bbox')]
    if short := next((box.tolist() for box in boxes if len(box) != 4), None):
        raise UserError(f'Frame {number}: the box {short} must have four numbers: x1, y1, x2, y2.')
    count = len(persons)
    box_scores = np.array([person.get('bbox_score', 1.0) for person in persons], float)
    return PoseFrame(
        number,
        float(entry.get('time', entry['frame_id'] / rate)),
        np.stack(keypoints) if count else np.zeros((0, 1, 2)),
        np.stack(scores) if count else np.zeros((0, 1)),
        np.array(boxes, float).reshape(-1, 4) if len(boxes) == count else None,
        np.where(np.isfinite(box_scores), box_scores, 1.0),
    )


def write_json(file: Path, video: PoseVideo) -> None:
    """Write the layout of the command ``infer`` with ``track_id``."""
    meta = dict(video.meta, frame_rate=video.rate, keypoint_names=list(video.keypoint_names))
    frames = []
    for frame in video.frames:
        boxes = _boxes(frame)
        persons = [
            dict(
                track_id=int(frame.ids[n]),
                keypoints=_finite(frame.keypoints[n]).tolist(),
                keypoint_scores=frame.scores[n].tolist(),
                bbox=[boxes[n].tolist()],
                bbox_score=float(frame.box_scores[n]),
            )
            for n in range(len(frame.ids))
        ]
        frames.append(dict(frame_id=frame.number, time=frame.time, instances=persons))
    _dump(file, dict(meta_info=meta | dict(skeleton=video.skeleton), instance_info=frames))


def write_coco(file: Path, video: PoseVideo) -> None:
    """Write COCO results with ``track_id`` and ``time``, without poses that have no identity."""
    _dump(
        file,
        [
            dict(
                image_id=frame.number,
                category_id=1,
                track_id=int(frame.ids[n]),
                time=frame.time,
                keypoints=_triples(frame, n),
                score=float(frame.box_scores[n] * frame.scores[n].mean()),
            )
            for frame in video.frames
            for n in np.flatnonzero(frame.ids != REJECTED)
        ],
    )


def write_posetrack(file: Path, video: PoseVideo) -> None:
    """Write PoseTrack annotations, without poses that have no identity."""
    images = [
        dict(id=f.number, frame_id=f.number, file_name=f'{f.number:06d}.jpg', vid_id=file.stem,
             time=f.time)
        for f in video.frames
    ]  # fmt: skip
    annotations: list[dict] = []
    for frame in video.frames:
        boxes = _boxes(frame)
        for n in np.flatnonzero(frame.ids != REJECTED):
            x1, y1, x2, y2 = boxes[n].tolist()
            annotations.append(
                dict(
                    id=len(annotations),
                    image_id=frame.number,
                    category_id=1,
                    track_id=int(frame.ids[n]),
                    keypoints=_triples(frame, n),
                    scores=frame.scores[n].tolist(),
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                )
            )
    skeleton = [[a + 1, b + 1] for a, b in video.skeleton]
    category = dict(id=1, name='person', keypoints=list(video.keypoint_names), skeleton=skeleton)
    _dump(file, dict(images=images, annotations=annotations, categories=[category]))


def write_csv(file: Path, video: PoseVideo) -> None:
    """Write a row for each pose with an identity."""
    count = max((f.keypoints.shape[1] for f in video.frames if len(f.ids)), default=0)
    names = video.keypoint_names or [f'keypoint{k}' for k in range(count)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    columns = [f'{name}_{part}' for name in names for part in ('x', 'y', 'score')]
    writer.writerow(['frame', 'time', 'track_id', 'x1', 'y1', 'x2', 'y2', *columns])
    for frame in video.frames:
        boxes = _boxes(frame)
        for n in np.flatnonzero(frame.ids != REJECTED):
            values = [*boxes[n], *_triples(frame, n)]
            place = (frame.number, frame.time, frame.ids[n])
            writer.writerow([*place, *(round(float(value), 4) for value in values)])
    write_text(file, text.getvalue())


WRITERS = dict(json=write_json, coco=write_coco, posetrack=write_posetrack, csv=write_csv)


def _boxes(frame: PoseFrame) -> np.ndarray:
    if frame.boxes is not None:
        return _finite(frame.boxes)
    found = np.isfinite(frame.keypoints).all(-1)[..., None] & (frame.scores > 0)[..., None]
    low = np.where(found, frame.keypoints, np.inf).min(1)
    high = np.where(found, frame.keypoints, -np.inf).max(1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, 0)


def _triples(frame: PoseFrame, n: int) -> list[float]:
    return np.column_stack([_finite(frame.keypoints[n]), frame.scores[n]]).ravel().tolist()


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values, posinf=0, neginf=0)


def _dump(file: Path, content: Any) -> None:
    write_text(file, json.dumps(content, allow_nan=False))
