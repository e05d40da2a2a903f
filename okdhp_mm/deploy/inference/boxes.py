"""Boxes around persons that the user gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from ...errors import UserError, join_names
from ...io.data_files import read_json

Boxes = Sequence[Sequence[float]]
"""x1 y1 x2 y2 for each person; an empty list stands for a picture without persons."""
EXAMPLE = (
    '{"a.jpg": [[x1, y1, x2, y2], ...], "empty.jpg": [], "clip.mp4": [[[x1, y1, x2, y2], ...], '
    '...]} with finite numbers, x1 < x2 and y1 < y2; for a video either boxes for all frames or '
    'one list of boxes per frame.'
)


def read_boxes(file: Path) -> dict[str, Any]:
    """Read boxes around persons by file name from JSON.

    A picture has a list of boxes. A video has one list that serves all frames, or one list for
    each frame. The boxes of annotations in COCO's format are read too.

    Raises:
        UserError: If the file is missing or has another layout.
    """
    boxes = read_json(file)
    if not isinstance(boxes, dict):
        raise UserError(f'{file} holds a {type(boxes).__name__}; write {EXAMPLE}')
    if {'images', 'annotations'} <= boxes.keys():
        return coco_boxes(file, boxes)
    for name, given in boxes.items():
        if not (_are_boxes(given) or (isinstance(given, list) and all(map(_are_boxes, given)))):
            raise UserError(f'{file} has {_first_wrong(given)} for {name}; write {EXAMPLE}')
    return boxes


def coco_boxes(file: Path, content: dict) -> dict[str, list[list[float]]]:
    """Return the boxes of annotations in COCO's format by the name of the picture.

    Raises:
        UserError: If an entry is wrong.
    """
    try:
        names = {image['id']: image['file_name'] for image in content['images']}
        boxes: dict[str, list[list[float]]] = {name: [] for name in names.values()}
        for entry in content['annotations']:
            x, y, width, height = entry['bbox']
            if width > 0 and height > 0:
                boxes[names[entry['image_id']]].append([x, y, x + width, y + height])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{file} is not complete: images need id and file_name, annotations image_id of one '
            f'of them and bbox, [x, y, width, height] ({error!r}).'
        ) from None
    return boxes


def check_names(boxes: Mapping[str, Any], names: Iterable[str], place: str) -> None:
    """Check that the files that boxes were given for exist.

    Args:
        boxes: Boxes by file name.
        names: The names that exist.
        place: Folder or URL of the names, named in the message.

    Raises:
        UserError: If one does not exist.
    """
    unknown = sorted(boxes.keys() - set(names)) if boxes else []
    if unknown:
        shown = join_names([repr(name) for name in unknown])
        raise UserError(
            f'There are boxes for {shown}, but {place} has no '
            "such file. Name files relative to that folder, e.g. 'a.jpg' or 'sub/a.jpg'."
        )


def per_frame(boxes: Any) -> bool:
    """Return whether boxes are lists, one per frame, and not the boxes for all frames."""
    return bool(boxes) and all(_are_boxes(frame) for frame in boxes)


def _first_wrong(given: Any) -> str:
    """Return a description of the first entry that is wrong: a video may have thousands."""
    entries = given if isinstance(given, list) else []
    wrong = (entry for entry in entries if not _is_box(entry) and not _are_boxes(entry))
    return shorten(repr(next(wrong, given)), 200, placeholder=' ...')


def _are_boxes(boxes: Any) -> bool:
    return isinstance(boxes, list) and all(map(_is_box, boxes))


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(type(value) in (int, float) and math.isfinite(value) for value in box)
        and box[0] < box[2]
        and box[1] < box[3]
    )
