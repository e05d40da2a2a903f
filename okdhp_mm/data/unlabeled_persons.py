"""Annotation files of persons without keypoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import UserError, join_names
from ..io.atomic import write_text
from ..io.data_files import read_json
from .annotations import check_unlabeled

UNLABELED = 'unlabeled.json'
"""Name of the file of the unlabeled persons in a work directory."""


def write_persons(
    persons: Iterable[tuple[str, Sequence[int], Sequence[Sequence[float]] | None]],
    file: Path,
    fingerprint: str = '',
) -> None:
    """Write persons without keypoints in COCO's layout.

    Args:
        persons: For each picture its name, its height and width, and the boxes in it as x1 y1 x2
            y2; None takes the whole picture as one person.
        file: File to write.
        fingerprint: Text that changes with the persons, to recognize the file by.

    Raises:
        UserError: If there is no person.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    for name, (height, width), boxes in persons:
        images.append(dict(id=len(images) + 1, file_name=name, width=width, height=height))
        for x1, y1, x2, y2 in [(0, 0, width, height)] if boxes is None else boxes:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=len(images),
                    category_id=1,
                    bbox=[float(value) for value in (x1, y1, x2 - x1, y2 - y1)],
                )
            )
    if not annotations:
        raise UserError(
            f'There are no persons in the {len(images)} unlabeled pictures: all their lists of '
            'boxes are empty. Give other boxes or another detector, or none of both for pictures '
            'of one person each.'
        )
    content = dict(
        info=dict(fingerprint=fingerprint),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(content))


def folder_of(file: Path, others: Sequence[str] = ()) -> Path:
    """Return the folder of the pictures of an annotation file.

    Args:
        file: COCO JSON. Its folder and the subfolder ``images`` are searched first.
        others: Folders to search after them.

    Raises:
        UserError: If the file cannot be used, has no person, or its pictures are in no folder.
    """
    name = check_unlabeled(str(file), read_json(file))[0]
    places = [file.parent, file.parent / 'images', *map(Path, others)]
    for place in places:
        if (place / name).is_file():
            return place
    raise UserError(
        f'The picture {name} of {file} is not in {join_names(list(map(str, places)))}. Move the '
        'file to the folder of its pictures.'
    )
