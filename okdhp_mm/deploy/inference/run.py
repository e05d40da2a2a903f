"""Find poses in a picture, a folder of pictures or a video, and write them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from ...errors import UserError
from ...visualization import draw_pose
from .boxes import Boxes, check_names, per_frame
from .engines import Engine
from .images import image_files, is_picture, read_pictures
from .writers import Results

VIDEO_SUFFIXES = frozenset(
    '.3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv'.split()
)
FALLBACK_RATE = 25.0
"""Frames per second of a video that does not say."""
THRESHOLD = 0.3
SLACK = 0.01
"""Share of the announced frames that may be missing: containers without a count estimate it."""


@dataclass
class Summary:
    """Account of an inference.

    Attributes:
        unit: 'picture' or 'frame'.
        threshold: Least score of a keypoint that is drawn.
        written: Number of pictures or frames with results.
        skipped: Files that could not be read.
        cut: Files that are incomplete.
        announced: Number of frames that the file of a video announces, if it does.
        whole: Number of pictures or frames that were taken as one person.
        keypoints: Number of keypoints found.
        drawn: Number of those that were drawn.
        highest: Their highest score.
    """

    unit: str
    threshold: float = THRESHOLD
    written: int = 0
    skipped: list[Path] = field(default_factory=list)
    cut: list[Path] = field(default_factory=list)
    announced: int | None = None
    whole: int = 0
    keypoints: int = 0
    drawn: int = 0
    highest: float = -math.inf

    def add(self, persons: Sequence[dict], whole: bool) -> None:
        """Count the persons of one picture or frame."""
        self.written += 1
        self.whole += whole
        for person in persons:
            scores = np.asarray(person['keypoint_scores'])
            self.keypoints += scores.size
            self.drawn += int((scores >= self.threshold).sum())
            self.highest = max(self.highest, float(scores.max(initial=-math.inf)))

    @property
    def complete(self) -> bool:
        """Whether the whole input was read."""
        return not (self.skipped or self.cut)

    @property
    def notes(self) -> list[str]:
        """What the user should know about the results, a sentence each."""
        notes = []
        if self.whole == self.written:
            notes.append(f'Each {self.unit} was taken as one person: no boxes were given.')
        elif self.whole:
            notes.append(
                f'{self.whole} of {self.written} {self.unit}s were taken as one person each: no '
                'boxes were given for them.'
            )
        if self.keypoints and not self.drawn:
            notes.append(
                f'None of the {self.keypoints} keypoints reaches the threshold of '
                f'{self.threshold:g}, so none is drawn. The highest score is {self.highest:.2g}. '
                'Train for longer, or lower --threshold.'
            )
        if self.cut and self.announced:
            notes.append(
                f'{self.cut[0]} announces {self.announced} frames and gives {self.written}: it is '
                'cut or damaged.'
            )
        elif self.cut:
            notes.append(f'The lower part of {_some(self.cut)} is missing: the file is cut.')
        return notes

    def __str__(self):
        plural = '' if self.written == 1 else 's'
        skipped = f', {len(self.skipped)} skipped' if self.skipped else ''
        cut = f', {len(self.cut)} incomplete' if self.cut and not self.announced else ''
        of = f' of {self.announced}' if self.cut and self.announced else ''
        return f'{self.written}{of} {self.unit}{plural}{skipped}{cut}'


def infer(
    source: Path,
    engine: Engine,
    out_dir: Path,
    boxes: Mapping[str, Any] | None = None,
    threshold: float = THRESHOLD,
) -> Summary:
    """Find the poses in a picture, a folder of pictures, or a video.

    Args:
        source: What to look at. A folder includes its sub-folders.
        engine: What finds them.
        out_dir: Folder for ``predictions/*.json`` and ``visualizations/*``.
        boxes: Boxes around persons by file name, relative to the folder of the source, as
            :func:`read_boxes` gives them. A file without an entry is taken as one person; an empty
            list means that there are no persons.
        threshold: Least score of a keypoint that is drawn.

    Raises:
        UserError: If the source is missing or of another kind, nothing in it can be read, a result
            cannot be written, or boxes name files that do not exist.
    """
    if not source.exists():
        raise UserError(f'{source} does not exist.')
    boxes, folder = boxes or {}, source if source.is_dir() else source.parent
    files = image_files(source, ignored=out_dir) if source.is_dir() else [source]
    if boxes:
        # They may be of more files than are looked at now.
        there = source.rglob('*') if source.is_dir() else folder.iterdir()
        check_names(boxes, there, folder)
    summary = Summary('picture', threshold)
    if source.is_dir() or is_picture(source) or cv2.haveImageReader(str(source)):
        _check_images(boxes, files, folder)
        results = Results(out_dir, files, folder)
        _infer_images(files, engine, results, boxes, summary)
    elif source.suffix.lower() in VIDEO_SUFFIXES:
        summary.unit = 'frame'
        results = Results(out_dir, files, folder)
        _infer_video(source, engine, results, boxes.get(source.name), summary)
    else:
        raise UserError(
            f'{source} is neither a picture nor a video nor a folder of pictures. Videos end in '
            f'{" ".join(sorted(VIDEO_SUFFIXES))}.'
        )
    return summary


def _infer_images(
    files: Sequence[Path],
    engine: Engine,
    results: Results,
    boxes: Mapping[str, Boxes],
    summary: Summary,
) -> None:
    unread = dict.fromkeys(files)
    for picture in track(read_pictures(files), 'pictures', total=len(files)):
        file, image = picture.file, picture.image
        given = boxes.get(file.relative_to(results.base).as_posix())
        persons = _found(engine, image, given, file)
        results.write(file, _meta(engine, file, image, given), persons)
        results.draw(file, _drawn(engine, image, persons, summary.threshold))
        summary.add(persons, whole=given is None)
        del unread[file]
        if picture.cut:
            summary.cut.append(file)
    summary.skipped += unread


def _infer_video(
    file: Path, engine: Engine, results: Results, boxes: Any, summary: Summary
) -> None:
    video = cv2.VideoCapture(str(file))
    # Some files do not say how many frames they have, and some say nonsense.
    announced = max(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0) or None
    rate = video.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate < 1000 else FALLBACK_RATE
    listed = per_frame(boxes)
    if listed and announced and len(boxes) < announced:
        raise UserError(
            f'There are lists of boxes for {len(boxes)} frames, but {file} has {announced}: give '
            'one for each frame, empty where there are no persons.'
        )
    frames = _frames(video)
    first = next(frames, None)
    if first is None:
        raise UserError(f'{file} cannot be read: it is empty, damaged or not a video.')
    meta = _meta(engine, file, first, boxes) | dict(
        frame_rate=rate, frames_announced=announced, complete=False
    )
    with results.video(file, meta) as written:
        for image in track(chain([first], frames), 'frames', total=announced):
            number = summary.written
            if listed and number >= len(boxes):
                raise UserError(f'{file} has more frames than the {len(boxes)} lists of boxes.')
            given = boxes[number] if listed else boxes
            persons = _found(engine, image, given, file)
            frame = dict(frame_id=number, time=round(number / rate, 6), instances=persons)
            written.add(frame, _drawn(engine, image, persons, summary.threshold), rate)
            summary.add(persons, whole=given is None)
        if announced and announced - summary.written > max(1, SLACK * announced):
            summary.announced = announced
            summary.cut.append(file)
        meta['complete'] = summary.complete


def _found(engine: Engine, image: np.ndarray, boxes: Boxes | None, file: Path) -> list[dict]:
    persons = engine(image, boxes)
    for person in persons:
        values = (*np.ravel(person['keypoints']), *np.ravel(person['keypoint_scores']))
        if not np.isfinite(values).all():
            raise UserError(
                f'The student gives keypoints that are not finite for {file}: its weights are '
                'broken. Export another checkpoint.'
            )
    return persons


def _drawn(
    engine: Engine, image: np.ndarray, persons: Sequence[dict], threshold: float
) -> np.ndarray:
    picture = image
    for person in persons:
        picture = draw_pose(
            picture,
            np.asarray(person['keypoints']),
            person['keypoint_scores'],
            skeleton=engine.skeleton,
            keypoint_names=engine.keypoint_names,
            threshold=threshold,
        )
    return picture


def _meta(engine: Engine, file: Path, image: np.ndarray, boxes: Any) -> dict:
    height, width = image.shape[:2]
    return dict(
        source=str(file),
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        image_size=[width, height],
        keypoint_names=engine.keypoint_names,
        skeleton=engine.skeleton,
        boxes='whole image' if boxes is None else 'given',
    )


def _check_images(boxes: Mapping[str, Any], files: Sequence[Path], folder: Path) -> None:
    for file in files:
        name = file.relative_to(folder).as_posix()
        # A list of empty lists is no boxes in every frame of a video, and a mistake for a picture.
        if per_frame(boxes.get(name)):
            raise UserError(f'{file} is a picture, but its boxes are lists, one for each frame.')


def _frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, image = video.read()
        if not there:
            return
        yield image


def _some(files: Sequence[Path]) -> str:
    return f'{files[0]}' + (f' and {len(files) - 1} more' if files[1:] else '')
