"""Persons in pictures or a video, to learn from without labels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...data.unlabeled_persons import UNLABELED, folder_of, write_persons
from ...errors import UserError
from ...io.data_files import read_json
from .boxes import Boxes, read_boxes
from .detectors import build_detector
from .images import write_jpeg
from .persons import PersonBoxes
from .sources import Frame, Source, Video, open_source

MOST_FRAMES = 1000
"""Frames of a video that are used at most, evenly spread."""


def read_unlabeled(
    source: Path,
    boxes: Path | None,
    work_dir: Path,
    labeled: Sequence[str] = (),
    detector: str | None = None,
) -> tuple[Path, Path]:
    """Return an annotation file of unlabeled persons, and the folder of its pictures.

    A file of an earlier run is used again if it is of the same pictures, boxes and detector, so a
    resumed training does not find the persons anew.

    Args:
        source: A folder of pictures, a video, or a COCO JSON of persons.
        boxes: JSON with boxes around persons, see :func:`~.boxes.read_boxes`; without it and a
            detector, a picture is one person.
        work_dir: Where the annotation file and the frames of a video are written.
        labeled: Folders of the labeled pictures, where those of a COCO JSON may be.
        detector: Detector of persons in pictures without given boxes, see
            :func:`~.detectors.build_detector`.

    Raises:
        UserError: If there is no person, or a file cannot be used.
    """
    if not source.exists():
        raise UserError(f'--unlabeled {source} does not exist.')
    if source.suffix == '.json':
        if boxes or detector:
            option = '--boxes' if boxes else '--detector'
            raise UserError(f'{source} has boxes of its own. Remove {option}.')
        return source, folder_of(source, labeled)
    opened = open_source(str(source), ignored=work_dir)
    given = read_boxes(boxes) if boxes else {}
    opened.check_boxes(given)
    file = work_dir / UNLABELED
    folder = work_dir / 'unlabeled' if isinstance(opened, Video) else opened.base
    fingerprint = fingerprint_of(opened, boxes, detector)
    if file.is_file() and is_of(read_json(file), fingerprint, folder):
        return file, folder
    finds = build_detector(detector) if detector else None
    finder = PersonBoxes(given, finds, every=1, threshold=0)
    if isinstance(opened, Video):
        folder.mkdir(parents=True, exist_ok=True)
        frames = written(sampled(opened), folder)
    else:
        frames = ((frame.name, frame) for frame in opened.frames())
    write_persons(persons_of(frames, finder), file, fingerprint)
    return file, folder


def fingerprint_of(source: Source, boxes: Path | None, detector: str | None) -> str:
    """Return a text that changes with the pictures or the video, the boxes and the detector."""
    content = hashlib.sha256(f'{detector}'.encode())
    weights = [Path(part).expanduser() for part in detector.split(':')] if detector else []
    # A detector may be a folder.
    inside = [file for path in weights if path.is_dir() for file in sorted(path.iterdir())]
    for path in (*source.files.values(), boxes, *weights, *inside):
        if path and path.is_file():
            state = path.stat()
            content.update(f'{path} {state.st_size} {state.st_mtime_ns}'.encode())
    return content.hexdigest()


def is_of(content: dict, fingerprint: str, folder: Path) -> bool:
    """Return whether an annotation file has a fingerprint, and its pictures still exist."""
    return content.get('info', {}).get('fingerprint') == fingerprint and all(
        (folder / image['file_name']).is_file() for image in content['images']
    )


def sampled(video: Video) -> Iterator[Frame]:
    """Yield frames of a video, evenly spread if the video announces its length."""
    step = math.ceil(len(video) / MOST_FRAMES) or 1
    for index, frame in enumerate(video.frames()):
        if index % step == 0:
            yield frame
        if index + 1 == step * MOST_FRAMES:
            return


def written(frames: Iterator[Frame], folder: Path) -> Iterator[tuple[str, Frame]]:
    """Write frames as pictures, and yield them with the names of the files."""
    for frame in frames:
        name = f'{frame.number:06}.jpg'
        write_jpeg(folder / name, frame.image)
        yield name, frame


def persons_of(
    frames: Iterator[tuple[str, Frame]], finder: PersonBoxes
) -> Iterator[tuple[str, Sequence[int], Boxes | None]]:
    """Yield the name, the height and width, and the boxes of every picture."""
    for name, frame in frames:
        yield name, frame.image.shape[:2], finder.find(frame).boxes
