"""Find and read pictures, in the same way on every machine."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError

from ...errors import UserError
from ...io.atomic import write_bytes

# The tables of file types of Python and of the machine differ between machines.
SUFFIXES = frozenset(
    '.avif .bmp .dib .exr .gif .hdr .jp2 .jpe .jpeg .jpg .pbm .pfm .pgm .pic .png .pnm .ppm .pxm '
    '.ras .sr .tif .tiff .webp'.split()
) | {'.heic', '.heif', '.jfif', '.jxl'}
"""Suffixes of pictures. OpenCV cannot read all of them; then an error names the file."""
LARGEST_SIDE = 32766
"""Longest side in pixels of a picture that OpenCV can crop."""
ORIENTATION = 0x0112
"""Tag of EXIF."""
TURNS = {
    3: cv2.ROTATE_180,
    6: cv2.ROTATE_90_CLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class Picture:
    """A picture from a file.

    Attributes:
        file: Path of the file.
        image: (H, W, 3) uint8, BGR, turned as its EXIF entry says.
        cut: Whether the end of the file is missing, and with it the lower part of the picture.
    """

    file: Path
    image: np.ndarray
    cut: bool = False


def write_jpeg(file: Path, image: np.ndarray) -> None:
    """Write a BGR picture of an ordinary size as JPEG."""
    written, content = cv2.imencode('.jpg', image, JPEG_QUALITY)
    assert written  # OpenCV always has its own JPEG encoder
    write_bytes(file, content.tobytes())


def is_picture(file: Path) -> bool:
    """Return whether a file is a picture, by its suffix."""
    return file.suffix.lower() in SUFFIXES


def image_files(folder: Path, ignored: Path | None = None) -> list[Path]:
    """Return the pictures in a folder and its sub-folders, sorted by path.

    Args:
        folder: Folder to search. Names that start with a dot are left out.
        ignored: A folder in it to leave out, e.g. of earlier results.

    Raises:
        UserError: If there are none.
    """
    files = []
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = [
            name
            for name in folders
            if not (name.startswith('.') or (ignored and _same(here / name, ignored)))
        ]
        files += [here / name for name in names if not name.startswith('.')]
    images = sorted(file for file in files if is_picture(file) and not _is_special(file))
    if not images:
        raise UserError(f'{folder} is not a folder with pictures.')
    return images


def read_picture(file: Path) -> Picture:
    """Read a picture.

    Raises:
        UserError: If it cannot be read, or is too large for OpenCV to crop.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f'{file} cannot be read: {error.strerror}') from error
    image = decode(content, str(file), allow_cut=True)
    if image is not None:
        return Picture(file, image)
    # OpenCV completes a JPEG that is cut off if it reads the file itself.
    image = cv2.imread(str(file))
    if image is None:
        raise UserError(f'{file} cannot be read: it is empty, damaged or not a picture')
    _check_size(image, str(file))
    return Picture(file, image, cut=True)


def decode(content: bytes, name: str, allow_cut: bool = False) -> np.ndarray | None:
    """Return the picture in the content of a file, (H, W, 3) uint8, BGR.

    Args:
        content: Bytes of the file.
        name: Its name, for messages.
        allow_cut: Whether to return None, instead of raising, if it cannot be decoded.

    Raises:
        UserError: If it cannot be decoded, or is too large for OpenCV to crop.
    """
    try:
        image = _decoded(np.frombuffer(content, np.uint8))
    except cv2.error as error:  # from codecs that are turned off, and over sizes
        raise UserError(f'{name} cannot be read: {error.err or error}') from error
    if image is not None:
        _check_size(image, name)
    elif not allow_cut:
        raise UserError(f'{name} cannot be read: it is empty, damaged or not a picture')
    return image


def read_pictures(files: Sequence[Path]) -> Iterator[Picture]:
    """Yield the pictures that can be read; warn of those that cannot, and of incomplete ones.

    Raises:
        UserError: If none can be read.
    """
    readable = False
    for file in files:
        try:
            picture = read_picture(file)
        except UserError as error:
            print_log(f'{error}. It is skipped.', 'current', logging.WARNING)
            continue
        if picture.cut:
            print_log(
                f'{file} is incomplete: the lower part of the picture is missing.',
                'current',
                logging.WARNING,
            )
        readable = True
        yield picture
    if not readable:
        raise UserError(f'None of the {len(files)} pictures can be read, e.g. {files[0]}.')


def _check_size(image: np.ndarray, name: str) -> None:
    if max(image.shape) > LARGEST_SIDE:
        height, width = image.shape[:2]
        raise UserError(
            f'{name} is {width} x {height} px; make it smaller, at most {LARGEST_SIDE} px a side'
        )


def _decoded(content: np.ndarray) -> np.ndarray | None:
    if not content.size:
        return None
    start = content[:12].tobytes()
    if start[8:] != b'WEBP' and start[4:] != b'ftypavif':
        return cv2.imdecode(content, cv2.IMREAD_COLOR)
    # OpenCV 4.12 follows EXIF in JPEG, PNG and TIFF only.
    image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return image if image is None else _turned(image, _orientation(content.tobytes()))


def _orientation(content: bytes) -> int:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.getexif().get(ORIENTATION, 1)
    except (UnidentifiedImageError, OSError):  # Pillow before 11.3 does not know AVIF
        return 1


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image as its EXIF entry says it is meant to be seen."""
    if orientation in TURNS:
        return cv2.rotate(image, TURNS[orientation])
    mirrored = {
        2: lambda: cv2.flip(image, 1),
        4: lambda: cv2.flip(image, 0),
        5: lambda: cv2.transpose(image),
        7: lambda: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
    }
    return mirrored[orientation]() if orientation in mirrored else image


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _is_special(file: Path) -> bool:
    """Return whether a path is a pipe or a device: reading it may never end."""
    return file.exists() and not file.is_file()
