"""Write predictions and drawings so that what was found so far survives any interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...errors import UserError
from ...io.atomic import atomic_write, write_bytes, write_text


class GrowingJson:
    """A JSON document of entries that are on the disk as soon as they are added.

    They go to ``NAME.jsonl``, one a line. Closing makes ``NAME.json`` of them, also after an
    exception or Ctrl-C; after SIGKILL the lines stay.

    Args:
        file: The document to write.
        head: A first line, which is not an entry.
    """

    def __init__(self, file: Path, head: dict | None = None):
        self.target, self.lines, self.head = file, file.with_suffix('.jsonl'), head
        self.file = open(self.lines, 'w', encoding='utf-8')
        if head is not None:
            self._write(head)

    def add(self, entry: dict) -> None:
        """Write an entry."""
        self._write(entry)

    def close(self, start: str, end: str) -> None:
        """Make the document of the entries, between these texts."""
        self.file.close()
        with (
            open(self.lines, encoding='utf-8') as lines,
            atomic_write(self.target) as target,
            open(target, 'w', encoding='utf-8') as file,
        ):
            if self.head is not None:
                next(lines)
            file.writelines(_document(start, map(str.rstrip, lines), end))
        self.lines.unlink()

    def discard(self) -> None:
        """Write no document."""
        self.file.close()
        self.lines.unlink()

    def _write(self, entry: dict) -> None:
        self.file.write(to_json(entry) + '\n')
        # A killed process keeps what the system has.
        self.file.flush()


def check_absent(files: Iterable[Path]) -> None:
    """Check that no file would be replaced.

    Raises:
        UserError: If one would be.
    """
    for file in files:
        if file.exists():
            raise UserError(f'{file} exists. Choose another --out, or overwrite it by --force.')


class Results:
    """Folders of predictions and drawings: below them, files are named as their sources are.

    Args:
        out_dir: Folder for ``predictions/`` and ``visualizations/``.
        files: The sources by the names of their results; None for those that are not files.
        force: Whether to replace results.

    Raises:
        UserError: If two results would have the same name, a drawing would replace a source, or a
            result exists and may not be replaced.
    """

    def __init__(self, out_dir: Path, files: Mapping[str, Path | None], force: bool = False):
        self.predictions, self.pictures = out_dir / 'predictions', out_dir / 'visualizations'
        by_stem: dict[Path, str] = {}
        for name, file in files.items():
            other = by_stem.setdefault(Path(name).with_suffix(''), name)
            if other is not name:
                raise UserError(
                    f'{other} and {name} would both be written to {Path(name).stem}.json: '
                    'rename one.'
                )
            if file and (self.pictures / name).resolve() == file.resolve():
                raise UserError(f'The drawing would replace {file} itself: choose another --out.')
        if not force:
            check_absent(path for name in files for path in self._written(Path(name)))
        for folder in (self.predictions, self.pictures):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, meta: dict, persons: Sequence[dict]) -> None:
        """Write the persons in a picture."""
        file = self._place(self.predictions, name, '.json')
        write_text(file, ''.join(_document(meta_start(meta), map(to_json, persons), META_END)))

    def draw(self, name: str, picture: np.ndarray) -> None:
        """Write a drawing, as JPEG if OpenCV cannot write the format of the source.

        Raises:
            UserError: If it cannot be written.
        """
        file = self._place(self.pictures, name, Path(name).suffix)
        content = _encoded(file, picture)
        if content is None or file.is_dir():
            file = file.with_suffix('.jpg')
            content = _encoded(file, picture)
        if content is None or file.is_dir():
            raise UserError(f'{file} cannot be written.')
        write_bytes(file, content)

    @contextmanager
    def video(self, name: str, meta: dict) -> Iterator[VideoResults]:
        """Write the frames of a video, each before the next is read.

        Args:
            name: Name of the results.
            meta: Information about all frames. Changes to it are written at the end.
        """
        predictions = self._place(self.predictions, name, '.json')
        results = VideoResults(predictions, self._place(self.pictures, name, '.mp4'), meta)
        try:
            yield results
        finally:
            results.close()

    def _written(self, name: Path) -> Iterator[Path]:
        """Yield what exists of the files that the results of a name can have."""
        # The lines are all that is left of a killed run.
        yield from (self.predictions / name.with_suffix(end) for end in ('.json', '.jsonl'))
        drawings = (self.pictures / name.with_suffix(end) for end in (name.suffix, '.jpg', '.mp4'))
        yield from filter(Path.is_file, drawings)

    def _place(self, folder: Path, name: str, suffix: str) -> Path:
        file = (folder / name).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


class VideoResults:
    """The growing predictions and drawing of one video.

    Args:
        predictions: File for the predictions.
        drawing: File for the drawn video.
        meta: Information about all frames. Changes to it are written at the end.
    """

    def __init__(self, predictions: Path, drawing: Path, meta: dict):
        self.drawing, self.meta = drawing, meta
        # A video writer looks at the suffix of its file.
        self.unfinished = drawing.with_name(f'.{drawing.stem}.unfinished.mp4')
        if drawing.is_dir():
            raise UserError(f'{drawing} cannot be written.')
        self.json = GrowingJson(predictions, dict(meta_info=meta))
        self.film: cv2.VideoWriter | None = None

    def add(self, frame: dict, picture: np.ndarray, rate: float) -> None:
        """Write one frame.

        Args:
            frame: Its predictions.
            picture: Its drawing.
            rate: Frames per second of the video.

        Raises:
            UserError: If the drawn video cannot be written.
        """
        self.json.add(frame)
        if self.film is None:
            code = cv2.VideoWriter.fourcc(*'mp4v')
            self.film = cv2.VideoWriter(str(self.unfinished), code, rate, picture.shape[1::-1])
            if not self.film.isOpened():
                raise UserError(f'{self.drawing} cannot be written.')
        self.film.write(picture)

    def close(self) -> None:
        """Finish the files, or remove them if there was no frame."""
        if self.film is None:
            self.json.discard()
            return
        self.film.release()
        if self.unfinished.exists():
            os.replace(self.unfinished, self.drawing)
        self.json.close(meta_start(self.meta), META_END)


META_END = '\n]}\n'


def meta_start(meta: dict) -> str:
    """Return the start of a document with meta information."""
    return f'{{"meta_info": {to_json(meta)},\n "instance_info": ['


def to_json(value: Any) -> str:
    """Return a value as JSON in one line."""
    return json.dumps(value, allow_nan=False, default=_plain)


def _document(start: str, entries: Iterable[str], end: str) -> Iterator[str]:
    """Yield the parts of a JSON document that has each entry on a line of its own."""
    yield start
    for number, entry in enumerate(entries):
        yield f'{"," if number else ""}\n{entry}'
    yield end


def _plain(value: Any) -> Any:
    """Return a numpy value as JSON knows it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f'{type(value).__name__} is not JSON')


def _encoded(file: Path, picture: np.ndarray) -> bytes | None:
    try:
        if not cv2.haveImageWriter(str(file)):
            return None
        written, content = cv2.imencode(file.suffix, picture)
    except cv2.error:  # a format that is written, but not in colors (.pgm), or is turned off (.exr)
        return None
    return content.tobytes() if written else None
