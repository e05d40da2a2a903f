"""Find poses in pictures and videos, and write them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...errors import UserError
from ...visualization import draw_pose
from ..progress import progress
from .boxes import per_frame
from .detectors import Detector
from .engines import Engine
from .persons import Detections, PersonBoxes
from .sources import Frame, Pictures, Source, Video, open_source
from .summary import THRESHOLD, Summary
from .tables import CocoResults, CsvTable, Table
from .window import Window
from .writers import Results, check_absent

FRAME_SHOWN = 1
"""Milliseconds that a frame of a video stays in the window, at least."""


class Identities(Protocol):
    """Gives the persons of a video identities, and draws them."""

    def name(self, time: float, persons: Sequence[dict]) -> None:
        """Add ``track_id`` to each person of the next frame."""

    def draw(self, image: np.ndarray, time: float, persons: Sequence[dict]) -> np.ndarray:
        """Return a copy of the frame with its poses."""


def infer(
    source: str | Path,
    engine: Engine,
    out_dir: Path,
    boxes: Mapping[str, Any] | None = None,
    threshold: float = THRESHOLD,
    *,
    detector: Detector | None = None,
    detect_every: int = 1,
    show: bool = False,
    csv: bool = False,
    coco: bool = False,
    identities: Identities | None = None,
    force: bool = False,
) -> Summary:
    """Find the poses in pictures or a video.

    Args:
        source: A picture, a folder with its sub-folders, a text file with a path per line, a video,
            the number of a camera, or a URL.
        engine: Engine that finds them.
        out_dir: Folder for ``predictions/*.json`` and ``visualizations/*``.
        boxes: Boxes around persons by file name, relative to the folder of the source, as
            :func:`~.boxes.read_boxes` gives them. An empty list stands for a picture
            without persons.
        threshold: Least score of a keypoint that is drawn.
        detector: Finds the persons where no boxes are given. Without it, a picture is taken as one
            person.
        detect_every: Detect in every so many frames of a video; between, boxes follow the poses.
        show: Whether to show the drawings in a window.
        csv: Whether to write all poses to ``poses.csv``.
        coco: Whether to write all poses to ``coco_results.json``.
        identities: Gives the persons of a video identities, which all files then have.
        force: Whether to replace results.

    Raises:
        UserError: If the source is missing or of another kind, nothing in it can be read, a result
            cannot be written or exists, or boxes name files that do not exist.
    """
    opened = open_source(str(source), ignored=out_dir)
    boxes = boxes or {}
    opened.check_boxes(boxes)
    if identities and not isinstance(opened, Video):
        raise UserError(f'{source} is not a video, so persons in it cannot be tracked.')
    paths = dict(csv=out_dir / 'poses.csv', coco=out_dir / 'coco_results.json')
    if not force:
        wanted = [paths[name] for name, on in dict(csv=csv, coco=coco).items() if on]
        check_absent(wanted)
    results = Results(out_dir, opened.files, force)
    summary = Summary(opened.unit, threshold)
    with ExitStack() as stack:
        tables: list[Table] = []
        if csv:
            tables.append(CsvTable(paths['csv'], engine.keypoint_names, identities is not None))
        if coco:
            tables.append(CocoResults(paths['coco'], opened.image_id))
        window = Window(FRAME_SHOWN if isinstance(opened, Video) else 0) if show else None
        for table in tables:
            stack.callback(table.close)
        if window:
            stack.callback(window.close)
        persons = PersonBoxes(boxes, detector, detect_every, threshold)
        pipeline = Pipeline(engine, persons, summary, tables, window, identities)
        if isinstance(opened, Video):
            _infer_video(opened, pipeline, results)
        else:
            _infer_pictures(opened, pipeline, results)
    return summary


@dataclass
class Pipeline:
    """The steps that pictures and frames share.

    Attributes:
        engine: Engine that finds the poses.
        boxes: Boxes around the persons.
        summary: Account of what was found.
        tables: Files with all poses.
        window: Shows the drawings, if the user wants to see them.
        identities: Gives the persons identities, if the user wants them tracked.
    """

    engine: Engine
    boxes: PersonBoxes
    summary: Summary
    tables: Sequence[Table]
    window: Window | None
    identities: Identities | None = None

    def find(self, frame: Frame) -> tuple[Detections, list[dict]]:
        """Find and store the persons in a frame.

        Returns:
            Their boxes and their poses.
        """
        found = self.boxes.find(frame)
        persons = self._poses(frame, found)
        self.boxes.last = persons
        if self.identities:
            assert frame.time is not None  # only the persons of videos have identities
            self.identities.name(frame.time, persons)
        for table in self.tables:
            table.add(frame, persons)
        self.summary.add(persons, found.origin, frame.image.shape[1::-1])
        return found, persons

    def process(self, frame: Frame) -> tuple[Detections, list[dict], np.ndarray]:
        """Find, draw and store the persons in a frame.

        Returns:
            Their boxes, their poses, and the drawing of them.
        """
        found, persons = self.find(frame)
        if self.identities:
            assert frame.time is not None  # see `find`
            return found, persons, self.identities.draw(frame.image, frame.time, persons)
        return found, persons, self._draw(frame.image, persons)

    def meta(self, frame: Frame, origin: str) -> dict:
        """Return the meta information of a picture or video."""
        height, width = frame.image.shape[:2]
        return dict(
            source=frame.source,
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            image_size=[width, height],
            keypoint_names=self.engine.keypoint_names,
            skeleton=self.engine.skeleton,
            boxes=origin,
        )

    def show(self, picture: np.ndarray) -> bool:
        """Show a drawing; return whether the user wants to see more."""
        return self.window is None or self.window.show(picture)

    def _draw(self, picture: np.ndarray, persons: Sequence[dict]) -> np.ndarray:
        for person in persons:
            picture = draw_pose(
                picture,
                np.asarray(person['keypoints']),
                person['keypoint_scores'],
                skeleton=self.engine.skeleton,
                keypoint_names=self.engine.keypoint_names,
                threshold=self.summary.threshold,
            )
        return picture

    def _poses(self, frame: Frame, found: Detections) -> list[dict]:
        persons = self.engine(frame.image, found.boxes)
        for person, score in zip(persons, found.scores, strict=True):
            person['bbox_score'] = score
            values = (*np.ravel(person['keypoints']), *np.ravel(person['keypoint_scores']))
            if not np.isfinite(values).all():
                raise UserError(
                    f'The model gives keypoints that are not finite for {frame.source}: its '
                    'weights are broken. Use another checkpoint.'
                )
        return persons


def frames_of(source: Source, summary: Summary, every: int = 1) -> Iterator[Frame]:
    """Yield the pictures or frames of a source, and tell the summary what is missing at the end.

    Args:
        source: Where they are.
        summary: Account of what is found in them.
        every: Yield every so many frames of a video.
    """
    unread = dict(source.files)
    for frame in source.frames():
        if (frame.number or 0) % every == 0:
            yield frame
        unread.pop(frame.name, None)
        if frame.cut:
            summary.cut.append(frame.source)
    summary.skipped += map(str, unread.values())
    if isinstance(source, Video):
        summary.end_of_video(source.source, math.ceil((source.announced or 0) / every))


def _infer_pictures(pictures: Pictures, pipeline: Pipeline, results: Results) -> None:
    read = frames_of(pictures, pipeline.summary)
    with progress(read, 'pictures', len(pictures)) as frames:
        for frame in frames:
            found, persons, drawing = pipeline.process(frame)
            meta = pipeline.meta(frame, found.origin) | dict(image_id=pictures.image_id(frame))
            results.write(frame.name, meta, persons)
            results.draw(frame.name, drawing)
            if not pipeline.show(drawing):
                return


def _infer_video(video: Video, pipeline: Pipeline, results: Results) -> None:
    bar = progress(frames_of(video, pipeline.summary), 'frames', video.announced)
    # Ctrl-C is how a camera is stopped, and ends a file too early.
    stop = suppress(KeyboardInterrupt) if video.live else ExitStack()
    origin = (
        'given'
        if video.name in pipeline.boxes.given
        else ('detector' if pipeline.boxes.detector else 'whole image')
    )
    first = Frame(video.name, video.source, video.first)
    meta = pipeline.meta(first, origin) | dict(
        frame_rate=video.rate, frames_announced=video.announced, complete=video.live
    )
    start = time.monotonic()
    with results.video(video.name, meta) as written, stop, bar as frames:
        stopped = False
        for frame in frames:
            _, persons, drawing = pipeline.process(frame)
            entry = dict(frame_id=frame.number, time=frame.time, instances=persons)
            written.add(entry, drawing, video.rate)
            if not pipeline.show(drawing):
                stopped = True
                break
        given: Any = pipeline.boxes.given.get(video.name)
        if per_frame(given) and not stopped:
            pipeline.summary.unused = max(0, len(given) - pipeline.summary.written)
        meta['complete'] = pipeline.summary.complete and (video.live or not stopped)
    pipeline.summary.seconds = time.monotonic() - start
