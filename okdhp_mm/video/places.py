"""Find the place of an image in its video."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from ..errors import UserError


def place_of(image: dict, file: str | Path) -> tuple[str, int]:
    """Return the video of an image and its frame number.

    An image belongs to the video ``vid_id``, or to the folder of its file. Its number is
    ``frame_id``, or the number at the end of its file name.

    Args:
        image: Entry of ``images`` in a COCO-like file.
        file: That file, to name in the error.

    Raises:
        UserError: If the image has neither a ``frame_id`` nor a number in its name, or its
            ``frame_id`` is not a whole number.
    """
    name = PurePosixPath(image.get('file_name', ''))
    digits = re.findall(r'\d+', name.stem)
    if 'frame_id' not in image and not digits:
        raise UserError(
            f'Image {image["id"]} in {file} has neither frame_id nor a number in its name.'
        )
    number = image.get('frame_id', int(digits[-1]) if digits else 0)
    if not isinstance(number, int):
        raise UserError(
            f'Image {image["id"]} in {file} has frame_id={number!r}, which must be a whole number.'
        )
    return str(image.get('vid_id', name.parent)), number
