"""Label pictures or frames of a video with a pose model, as COCO JSON with scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...data.pseudo_labels.files import LABELS
from ...errors import UserError
from ...io.atomic import write_text
from ...visualization import contact_sheet, draw_pose
from ...visualization.sheet import CELL
from ..progress import progress
from .detectors import Detector
from .engines import Engine
from .images import read_picture, write_jpeg
from .persons import PersonBoxes
from .run import Pipeline, frames_of
from .sources import Frame, Source, Video
from .summary import THRESHOLD, Summary
from .writers import GrowingJson

SHEET, FRAMES = 'contact_sheet.jpg', 'frames'
LINES = f'{LABELS}l'
"""File that a killed process leaves, with a line for each picture."""
VISIBLE = 2
"""COCO's visibility of a labeled keypoint."""
SHOWN = 40
"""Persons on the contact sheet."""
MARGIN = 0.1
"""Share of its box that is shown around a person."""


@dataclass
class CocoLabels:
    """A COCO JSON that grows frame by frame.

    Until it is closed, each picture is a line of ``NAME.jsonl``, which a killed process leaves.

    Attributes:
        file: The document to write.
        engine: The model that finds the keypoints.
        threshold: Least score of a keypoint that becomes a label.
        folder: Folder that the names of pictures are relative to.
        frames: Folder in it for the frames of a video; None for pictures, which are files already.
        info: Entries of ``info`` in the document.
        images: Entries of the pictures.
        annotations: Entries of the persons.
    """

    file: Path
    engine: Engine
    threshold: float
    folder: Path
    frames: Path | None = None
    info: dict = field(default_factory=dict)
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)

    def __post_init__(self):
        self.lines = GrowingJson(self.file)

    def add(self, frame: Frame, persons: Sequence[dict]) -> None:
        """Add the persons of one picture or frame."""
        name = frame.name
        if self.frames is not None:
            file = self.frames / f'{Path(frame.name).stem}_{frame.number:06d}.jpg'
            write_jpeg(file, frame.image)
            name = file.relative_to(self.folder).as_posix()
        height, width = frame.image.shape[:2]
        number = len(self.images) + 1
        image = dict(id=number, file_name=name, width=width, height=height)
        found = [
            dict(id=identity, image_id=number, category_id=1, iscrowd=0)
            | entry_of(person, self.threshold)
            for identity, person in enumerate(persons, len(self.annotations) + 1)
        ]
        self.lines.add(dict(image=image, annotations=found))
        self.images.append(image)
        self.annotations += found

    def close(self) -> None:
        """Write the document, of the pictures that were labeled so far."""
        if self.images:
            write_text(self.file, json.dumps(self.content()))
        self.lines.discard()

    def content(self) -> dict:
        """Return the content of the COCO JSON."""
        names, links = self.engine.keypoint_names, self.engine.skeleton
        skeleton = [[start + 1, end + 1] for start, end in links]
        return dict(
            info=dict(images=str(self.folder.resolve()), threshold=self.threshold) | self.info,
            images=self.images,
            annotations=self.annotations,
            categories=[dict(id=1, name='person', keypoints=names, skeleton=skeleton)],
        )


def entry_of(person: dict, threshold: float) -> dict:
    """Return the box, keypoints and scores of a person as COCO has them."""
    x1, y1, x2, y2 = (round(float(value), 2) for value in np.ravel(person['bbox']))
    scores = np.asarray(person['keypoint_scores'], float)
    visible = (scores >= threshold) * VISIBLE
    points = np.round(np.asarray(person['keypoints'], float), 2)
    return dict(
        bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        area=round((x2 - x1) * (y2 - y1), 2),
        # Whole numbers stay whole, as checks of COCO's files want visibilities.
        keypoints=[
            value
            for (x, y), seen in zip(points.tolist(), visible.tolist(), strict=True)
            for value in (x, y, seen)
        ],
        keypoint_scores=np.round(scores, 4).tolist(),
        num_keypoints=int((visible > 0).sum()),
        score=round(float(person['bbox_score']) * float(scores.mean()), 4),
    )


@dataclass(frozen=True)
class PseudoLabels:
    """Files of an annotation run.

    Attributes:
        file: The COCO JSON.
        sheet: The contact sheet; None without a person.
        persons: Number of persons.
        keypoints: Share of their keypoints that became labels.
        summary: Account of the pictures.
    """

    file: Path
    sheet: Path | None
    persons: int
    keypoints: float
    summary: Summary


def pseudo_label(
    source: Source,
    engine: Engine,
    out_dir: Path,
    boxes: Mapping[str, Any] | None = None,
    threshold: float = THRESHOLD,
    *,
    detector: Detector | None = None,
    every: int = 1,
    info: Mapping[str, Any] | None = None,
) -> PseudoLabels:
    """Find the poses in pictures or a video, and write them as labels.

    Args:
        source: Where the pictures are.
        engine: What finds the poses.
        out_dir: Folder for ``pseudo_labels.json``, ``contact_sheet.jpg`` and the frames of a video.
        boxes: Boxes around persons by file name, see :func:`~.run.infer`.
        threshold: Least score of a keypoint that becomes a label. Others are kept with their
            scores, as not labeled.
        detector: Finds the persons where no boxes are given. Without it, a picture is taken as one
            person.
        every: Label every so many frames of a video.
        info: Entries to add to ``info`` of a file that is complete.

    Raises:
        UserError: If nothing can be read, or boxes name files that do not exist.
    """
    boxes = boxes or {}
    source.check_boxes(boxes)
    # Frames are written as pictures, which a training can read.
    frames = out_dir / FRAMES if isinstance(source, Video) else None
    folder = out_dir if isinstance(source, Video) else source.base
    (frames or out_dir).mkdir(parents=True, exist_ok=True)
    labels = CocoLabels(out_dir / LABELS, engine, threshold, folder, frames)
    summary = Summary(source.unit, threshold)
    pipeline = Pipeline(engine, PersonBoxes(boxes, detector, 1, threshold), summary, [labels], None)
    # Ctrl-C is how a camera is stopped.
    stop = suppress(KeyboardInterrupt) if isinstance(source, Video) and source.live else ExitStack()
    read = frames_of(source, summary, every)
    count = math.ceil(len(source) / every) or None
    with closing(labels), stop, progress(read, f'{source.unit}s', count) as items:
        for frame in items:
            pipeline.find(frame)
        labels.info |= dict(info or {})
    sheet = write_sheet(labels.content(), engine, out_dir / SHEET) if labels.annotations else None
    share = summary.drawn / max(summary.keypoints, 1)
    return PseudoLabels(out_dir / LABELS, sheet, summary.persons, share, summary)


def write_sheet(content: dict, engine: Engine, file: Path) -> Path:
    """Draw persons with low, middle and high scores on one sheet; return its file."""
    images = {image['id']: image['file_name'] for image in content['images']}
    ranked = sorted(content['annotations'], key=lambda entry: entry['score'])
    count = min(SHOWN, len(ranked))
    chosen = [ranked[round(i)] for i in np.linspace(0, len(ranked) - 1, count)]
    cells = []
    for entry in chosen:
        image = read_picture(Path(content['info']['images'], images[entry['image_id']])).image
        cells.append((cut_out(image, entry, engine), f'{entry["score"]:.2f}'))
    write_jpeg(file, contact_sheet(cells))
    return file


def cut_out(image: np.ndarray, entry: dict, engine: Engine) -> np.ndarray:
    """Return the part of an image with one person, with its labeled keypoints."""
    x, y, width, height = entry['bbox']
    margin = MARGIN * max(width, height)
    rows, columns = image.shape[:2]
    left, top = (int(np.clip(v - margin, 0, limit - 1)) for v, limit in ((x, columns), (y, rows)))
    right = int(np.clip(x + width + margin, left + 1, columns))
    bottom = int(np.clip(y + height + margin, top + 1, rows))
    # Enlarged first, so that lines are as thick on small persons as on large ones.
    ratio = CELL / max(bottom - top, right - left)
    part = cv2.resize(image[top:bottom, left:right], None, fx=ratio, fy=ratio)
    points = np.reshape(entry['keypoints'], (-1, 3))
    return draw_pose(
        part,
        (points[:, :2] - (left, top)) * ratio,
        points[:, 2],
        skeleton=engine.skeleton,
        keypoint_names=engine.keypoint_names,
        threshold=1,
    )


def check_source(source: Source) -> None:
    """Check that the pictures of a source can be found again by their names.

    Raises:
        UserError: If it is a picture that was downloaded.
    """
    if not isinstance(source, Video) and any(not file.exists() for file in source.files.values()):
        name = next(iter(source.files))
        raise UserError(f'{name} is not a file here. Download the picture, then label its folder.')
