"""Sources of pictures: files, folders, lists, videos, cameras and URLs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import cv2
import numpy as np

from ...errors import UserError
from .boxes import check_names, per_frame
from .images import decode, image_files, is_picture, read_pictures

VIDEO_SUFFIXES = frozenset(
    '.3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv'.split()
)
FALLBACK_RATE = 25.0
"""Frames per second of a video that does not say."""
TIMEOUT = 20
"""Seconds to wait for a server."""
LARGEST_DOWNLOAD = 200 * 2**20
LISTS = ('.txt', '.lst')


@dataclass(frozen=True)
class Frame:
    """A picture, or a frame of a video.

    Attributes:
        name: Relative path of its results, with the suffix of the source.
        source: Its origin, to name in messages.
        image: (H, W, 3) uint8, BGR.
        number: Number of a frame in its video, from 0.
        time: Seconds since the start of the video.
        cut: Whether the lower part of a picture is missing.
    """

    name: str
    source: str
    image: np.ndarray
    number: int | None = None
    time: float | None = None
    cut: bool = False


class Pictures:
    """Pictures in files.

    Args:
        files: Their paths.
        base: A folder that all are in. Names are relative to it.
    """

    unit = 'picture'

    def __init__(self, files: list[Path], base: Path):
        self.files = {file.relative_to(base).as_posix(): file for file in files}
        self.base = base

    def __len__(self):
        return len(self.files)

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures that can be read."""
        names = {file: name for name, file in self.files.items()}
        for picture in read_pictures(list(names)):
            yield Frame(names[picture.file], str(picture.file), picture.image, cut=picture.cut)

    def image_id(self, frame: Frame) -> int:
        """Return the number of a picture in COCO's files: its name, if all names are numbers."""
        stems = [file.stem for file in self.files.values()]
        numbers = {int(stem) for stem in stems if stem.isdecimal()}
        if len(numbers) == len(stems):
            return int(Path(frame.name).stem)
        return list(self.files).index(frame.name) + 1

    def check_boxes(self, boxes: Mapping[str, Any]) -> None:
        """Check that boxes name pictures, and are not lists for each frame of a video.

        Raises:
            UserError: If not.
        """
        if not boxes:
            return
        # They may be of more files than are looked at now.
        near = self.base.rglob('*') if len(self) > 1 else self.base.iterdir()
        names = {file.relative_to(self.base).as_posix() for file in near}
        check_names(boxes, names | self.files.keys(), str(self.base))
        for name, file in self.files.items():
            if per_frame(boxes.get(name)):
                raise UserError(f'{file} is a picture, but its boxes are lists for each frame.')


class OnePicture(Pictures):
    """A picture that was downloaded.

    Args:
        content: The downloaded bytes.
        url: Its URL.
    """

    def __init__(self, content: bytes, url: str):
        name = _name(url, '.jpg')
        super().__init__([Path(name)], Path())
        image = decode(content, url)
        assert image is not None  # only with allow_cut
        self.frame = Frame(name, without_password(url), image)

    def frames(self) -> Iterator[Frame]:
        """Yield the picture."""
        yield self.frame

    def check_boxes(self, boxes: Mapping[str, Any]) -> None:
        """Check that boxes name the picture."""
        check_names(boxes, self.files, self.frame.source)


class Video:
    """A video from a file, a camera or a URL.

    Args:
        address: A path, a URL, or the number of a camera.
        name: Name of its results.
        file: Its path, if it is a file.

    Attributes:
        live: Whether it goes on until it is stopped.
        announced: Number of frames that the file announces, if it does.
        rate: Frames per second.

    Raises:
        UserError: If it gives no frame.
    """

    unit = 'frame'

    def __init__(self, address: str | int, name: str, file: Path | None = None):
        self.name, self.live = name, file is None
        self.source = without_password(str(address)) if file is None else str(file)
        self.files = {name: file}
        self.video = cv2.VideoCapture(address)
        # Some files do not say how many frames they have, and some say nonsense.
        announced = int(self.video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.announced = announced if 0 < announced < 2**31 else None
        rate = self.video.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else FALLBACK_RATE
        self.live = self.live and self.announced is None
        there, self.first = self.video.read()
        if not there:
            if isinstance(address, int):
                raise UserError(
                    f'Camera {self.source} cannot be opened. Connect it, and close other programs '
                    'that use it, or give the number of another camera.'
                )
            raise UserError(
                f'{self.source} cannot be read: it is empty, damaged or not a video that OpenCV '
                'can open.'
            )

    def __len__(self):
        return self.announced or 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        start = time.monotonic()
        for number, image in enumerate(chain([self.first], self._rest())):
            passed = time.monotonic() - start if self.live else number / self.rate
            yield Frame(self.name, self.source, image, number, round(passed, 6))

    def image_id(self, frame: Frame) -> int:
        """Return the number of a frame in COCO's files."""
        assert frame.number is not None  # see `frames`
        return frame.number

    def check_boxes(self, boxes: Mapping[str, Any]) -> None:
        """Check that boxes name the video, and that there are enough lists for its frames.

        Raises:
            UserError: If not.
        """
        (file,) = self.files.values()
        near = [] if file is None or not boxes else [each.name for each in file.parent.iterdir()]
        check_names(boxes, [self.name, *near], str(file.parent if file else self.source))
        given: Any = boxes.get(self.name)
        if per_frame(given) and len(given) < len(self):
            raise UserError(
                f'There are lists of boxes for {len(given)} frames, but {self.source} has '
                f'{self.announced}: give one for each frame, empty for a frame without persons.'
            )

    def _rest(self) -> Iterator[np.ndarray]:
        while True:
            there, image = self.video.read()
            if not there:
                return
            yield image


Source = Pictures | Video


def open_source(source: str, ignored: Path | None = None) -> Source:
    """Open what a user names.

    Args:
        source: A picture, a folder, a text file with a path per line, a video, the number of a
            camera, or a URL.
        ignored: A folder to leave out of a folder.

    Raises:
        UserError: If it is missing, or is none of these.
    """
    file = Path(source)
    if '://' in source:
        return _from_url(source)
    if source.isdecimal() and not file.exists():
        return Video(int(source), f'camera{source}.mp4')
    if not file.exists():
        raise UserError(f'{source} does not exist.')
    if file.is_dir():
        return Pictures(image_files(file, ignored), file)
    suffix = file.suffix.lower()
    if is_picture(file) or cv2.haveImageReader(str(file)):
        return Pictures([file], file.parent)
    if suffix in VIDEO_SUFFIXES:
        return Video(str(file), file.name, file)
    if suffix in LISTS:
        return _from_list(file)
    raise UserError(
        f'{source} is neither a picture nor a video nor a folder of pictures nor a list of them. '
        f'Videos end in {" ".join(sorted(VIDEO_SUFFIXES))}, lists in {" ".join(LISTS)}.'
    )


def without_password(url: str) -> str:
    """Return a URL without the user and password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()


def _from_list(file: Path) -> Pictures:
    try:
        lines = file.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{file} cannot be read: {error}.') from None
    entries = [line.strip() for line in lines if line.strip() and not line.startswith('#')]
    files = [file.parent / os.path.expanduser(entry) for entry in entries]
    if not any(map(is_picture, files)):
        raise UserError(
            f'{file} is neither a picture nor a video nor a folder of pictures nor a list of them: '
            'a list has the path of a picture in each line.'
        )
    files = list(dict.fromkeys(Path(os.path.abspath(path)) for path in files))
    return Pictures(files, Path(os.path.commonpath([path.parent for path in files])))


def _from_url(url: str) -> Source:
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise UserError(f'{url} is not a URL: {error}.') from None
    if scheme not in ('http', 'https'):
        return Video(url, _name(url, '.mp4'))
    shown = without_password(url)
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 (http and https only)
            if answer.headers.get_content_maintype() == 'image' or is_picture(Path(_name(url))):
                content = answer.read(LARGEST_DOWNLOAD + 1)
                if len(content) > LARGEST_DOWNLOAD:
                    raise UserError(f'{shown} is larger than {LARGEST_DOWNLOAD >> 20} MB.')
                return OnePicture(content, url)
    except (URLError, HTTPException, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f'{shown} cannot be read ({error}).') from error
    return Video(url, _name(url, '.mp4'))


def _name(url: str, suffix: str = '') -> str:
    """Return a file name for the results of a URL."""
    parts = urlsplit(url)
    name = PurePosixPath(unquote(parts.path)).name or parts.hostname or 'stream'
    return name if Path(name).suffix else name + suffix
