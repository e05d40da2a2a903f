"""Read pseudo-labels: COCO JSON whose keypoints may have scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmpose.structures.bbox import bbox_xywh2xyxy

from ...errors import UserError
from ...io.data_files import read_json
from ..annotations import CocoLayout, check_coco, check_numbers, fail
from ..own_dataset import check_category, keep_one_category

LABELS = 'pseudo_labels.json'
"""Name of the file that `python -m okdhp_mm pseudo-label` writes."""


@dataclass(frozen=True)
class PseudoPerson:
    """A person with pseudo-labels.

    Attributes:
        path: Absolute path of the picture.
        box: x1, y1, x2, y2.
        points: x, y and score of every keypoint, (K, 3); the score is 0 for one that was not found.
        size: Width and height of the picture.
    """

    path: str
    box: np.ndarray
    points: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class PseudoLabelFile:
    """Content of a file of pseudo-labels.

    Attributes:
        keypoints: Names of the keypoints.
        persons: The persons.
    """

    keypoints: list[str]
    persons: list[PseudoPerson]


def read_pseudo_labels(file: Path, folders: Sequence[str | os.PathLike]) -> PseudoLabelFile:
    """Read a file of pseudo-labels, such as ``python -m okdhp_mm pseudo-label`` writes.

    ``keypoint_scores`` of an annotation has one score per keypoint. Without it, labeled keypoints
    have a score of 1.

    Args:
        file: COCO JSON.
        folders: Folders where its pictures may be, after the one that the file names.

    Raises:
        UserError: If the file or an entry cannot be used, or its pictures are not found.
    """
    path, content = str(file), read_json(file)
    keep_one_category(file, content)
    count = check_category(file, content)
    check_coco(path, content, CocoLayout(count))
    scored = [entry for entry in content['annotations'] if 'keypoint_scores' in entry]
    check_numbers(path, scored, 'keypoint_scores')
    for entry in scored:
        if len(entry['keypoint_scores']) != count:
            reason = f'`keypoint_scores` has {len(entry["keypoint_scores"])} numbers, not {count}'
            fail(path, 'annotation', entry, reason)
    info = content.get('info')
    named = info.get('images') if isinstance(info, dict) else None
    folders = [*([named] if isinstance(named, str) else []), *folders, file.parent]
    pictures = {image['id']: image for image in content['images']}
    found = {number: find_file(image['file_name'], folders) for number, image in pictures.items()}
    if pictures and not any(found.values()):
        name = content['images'][0]['file_name']
        raise UserError(
            f'{file}: none of its pictures is found, e.g. {name} in '
            f'{" or ".join(dict.fromkeys(map(str, folders)))}. Write their folder as '
            '"info": {"images": "FOLDER"} into the file.'
        )
    persons = [
        PseudoPerson(
            picture,
            bbox_xywh2xyxy(np.array([entry['bbox']], float))[0],
            points_of(entry),
            size_of(pictures[entry['image_id']]),
        )
        for entry in content['annotations']
        if entry.get('bbox') and entry.get('keypoints') and not entry.get('iscrowd')
        if (picture := found.get(entry['image_id']))
    ]
    return PseudoLabelFile(content['categories'][0]['keypoints'], persons)


def size_of(image: dict) -> tuple[int, int]:
    """Return width and height of a picture."""
    return int(image['width']), int(image['height'])


def points_of(entry: dict) -> np.ndarray:
    """Return x, y and score of the keypoints of an annotation, (K, 3)."""
    points = np.reshape(np.array(entry['keypoints'], float), (-1, 3))
    scores = np.array(entry.get('keypoint_scores', np.ones(len(points))), float)
    points[:, 2] = np.clip(scores, 0, 1) * (points[:, 2] > 0)
    return points


def find_file(name: str, folders: Sequence[str | os.PathLike]) -> str | None:
    """Return the absolute path of the first file of this name in the folders."""
    paths = (os.path.abspath(os.path.join(folder, name)) for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)
