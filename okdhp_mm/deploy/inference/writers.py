"""Write predictions and drawings so that what was found so far survives any interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...errors import UserError
from ...io.atomic import replacing, write_bytes, write_text


class Results:
    """Folders of predictions and drawings: below them, files are named as their sources are.

    Args:
        out_dir: Folder for ``predictions/`` and ``visualizations/``.
        files: The sources.
        base: Folder of the sources; sub-folders of it become sub-folders of the results.

    Raises:
        UserError: If two results would have the same name, or a drawing would replace a source.
    """

    def __init__(self, out_dir: Path, files: Sequence[Path], base: Path):
        self.base = base
        self.predictions, self.pictures = out_dir / 'predictions', out_dir / 'visualizations'
        by_name: dict[Path, Path] = {}
        for file in files:
            other = by_name.setdefault(self._name(file).with_suffix(''), file)
            if other is not file:
                raise UserError(
                    f'{other.name} and {file.name} would both be written to {file.stem}.json: '
                    'rename one.'
                )
            if (self.pictures / self._name(file)).resolve() == file.resolve():
                raise UserError(f'The drawing would replace {file} itself: choose another --out.')
        for folder in (self.predictions, self.pictures):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, source: Path, meta: dict, persons: Sequence[dict]) -> None:
        """Write the persons in a picture."""
        file = self._place(self.predictions, source, '.json')
        write_text(file, ''.join(_document(meta, map(_json, persons))))

    def draw(self, source: Path, picture: np.ndarray) -> None:
        """Write a drawing, as JPEG if OpenCV cannot write the format of the source.

        Raises:
            UserError: If it cannot be written.
        """
        file = self._place(self.pictures, source, source.suffix)
        content = _encoded(file, picture)
        if content is None or file.is_dir():
            file = file.with_suffix('.jpg')
            content = _encoded(file, picture)
        if content is None or file.is_dir():
            raise UserError(f'{file} cannot be written.')
        write_bytes(file, content)

    @contextmanager
    def video(self, source: Path, meta: dict) -> Iterator[VideoResults]:
        """Write the frames of a video, each before the next is read.

        The predictions go to ``NAME.jsonl``, one frame a line. It becomes ``NAME.json`` when the
        video ends, also by an exception or Ctrl-C; after SIGKILL the lines stay.
        """
        lines = self._place(self.predictions, source, '.jsonl')
        results = VideoResults(lines, self._place(self.pictures, source, '.mp4'), meta)
        try:
            yield results
        finally:
            results.close()

    def _name(self, source: Path) -> Path:
        return source.relative_to(self.base)

    def _place(self, folder: Path, source: Path, suffix: str) -> Path:
        file = (folder / self._name(source)).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


class VideoResults:
    """The growing predictions and drawing of one video.

    Args:
        lines: File for the predictions while they grow.
        drawing: File for the drawn video.
        meta: What is the same in all frames. Changes are written at the end.
    """

    def __init__(self, lines: Path, drawing: Path, meta: dict):
        self.lines, self.drawing, self.meta = lines, drawing, meta
        # A video writer looks at the suffix of its file.
        self.unfinished = drawing.with_name(f'.{drawing.stem}.unfinished.mp4')
        if drawing.is_dir():
            raise UserError(f'{drawing} cannot be written.')
        self.file = open(lines, 'w', encoding='utf-8')  # noqa: SIM115 (closed by close)
        self.film: cv2.VideoWriter | None = None
        self._write(dict(meta_info=meta))

    def add(self, frame: dict, picture: np.ndarray, rate: float) -> None:
        """Write one frame.

        Args:
            frame: Its predictions.
            picture: Its drawing.
            rate: Frames per second of the video.

        Raises:
            UserError: If the drawn video cannot be written.
        """
        self._write(frame)
        if self.film is None:
            code = cv2.VideoWriter_fourcc(*'mp4v')
            self.film = cv2.VideoWriter(str(self.unfinished), code, rate, picture.shape[1::-1])
            if not self.film.isOpened():
                raise UserError(f'{self.drawing} cannot be written.')
        self.film.write(picture)

    def close(self) -> None:
        """Finish the files, or remove them if there was no frame."""
        self.file.close()
        if self.film is None:
            self.lines.unlink()
            return
        self.film.release()
        if self.unfinished.exists():
            os.replace(self.unfinished, self.drawing)
        with (
            open(self.lines, encoding='utf-8') as lines,
            replacing(self.lines.with_suffix('.json')) as target,
            open(target, 'w', encoding='utf-8') as file,
        ):
            next(lines)  # the meta information of the start
            file.writelines(_document(self.meta, map(str.rstrip, lines)))
        self.lines.unlink()

    def _write(self, entry: dict) -> None:
        self.file.write(_json(entry) + '\n')
        # A killed process keeps what the system has.
        self.file.flush()


def _document(meta: dict, entries: Iterator[str]) -> Iterator[str]:
    """Yield the parts of a JSON document that has each entry on a line of its own."""
    yield f'{{"meta_info": {_json(meta)},\n "instance_info": ['
    for number, entry in enumerate(entries):
        yield f'{"," if number else ""}\n{entry}'
    yield '\n]}\n'


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """Return a numpy value as JSON knows it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f'{type(value).__name__} is not JSON')


def _encoded(file: Path, picture: np.ndarray) -> bytes | None:
    if not cv2.haveImageWriter(str(file)):
        return None
    try:
        written, content = cv2.imencode(file.suffix, picture)
    except cv2.error:  # a format that is written, but not in colors (.pgm), or is turned off (.exr)
        return None
    return content.tobytes() if written else None
