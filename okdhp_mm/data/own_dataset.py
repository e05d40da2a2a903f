"""Own annotations as a COCO-style dataset: checked, completed, and split into two sets."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ..errors import UserError
from ..io.atomic import write_text
from ..keypoint_names import find_flip_pairs
from .annotations import CocoLayout, check_coco, check_positive, entries_of, require
from .readers import read_labels
from .readers.picture_files import find_picture

VALIDATION_SHARE = 0.2
SEED = 0
"""Seed of the split, so that the same file is always split in the same way."""
MARGIN = 0.1
"""Margin around keypoints that get a box, as a share of the longer side."""


@dataclass(frozen=True)
class OwnDataset:
    """Annotations of one category in COCO's layout.

    Attributes:
        path: File that they come from.
        content: Content of a COCO JSON that mmpose and CocoMetric can read.
        notes: Sentences on what was added to the file's content.
        part: Whether the content is a part of the file's.
    """

    path: Path
    content: dict
    notes: list[str] = field(default_factory=list)
    part: bool = False

    @property
    def changed(self) -> bool:
        """Return whether the content differs from the file and needs a file of its own."""
        return bool(self.notes) or self.part

    @property
    def category(self) -> dict:
        """The only category."""
        return self.content['categories'][0]

    @property
    def keypoints(self) -> list[str]:
        """Names of the keypoints."""
        return self.category['keypoints']

    @property
    def skeleton(self) -> list[tuple[str, str]]:
        """Pairs of names of keypoints to draw a line between."""
        links = self.category.get('skeleton') or []
        return [tuple(self.keypoints[index - 1] for index in link) for link in links]

    @property
    def flip_pairs(self) -> list[tuple[str, str]]:
        """Pairs of keypoints that a mirror swaps, found by their names."""
        return find_flip_pairs(self.keypoints)

    @property
    def persons(self) -> list[dict]:
        """Annotations that mmpose trains on."""
        return [entry for entry in self.content['annotations'] if is_labeled(entry)]

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures with annotations."""
        used = {entry['image_id'] for entry in self.content['annotations']}
        return [image['file_name'] for image in self.content['images'] if image['id'] in used]


def is_labeled(entry: dict) -> bool:
    """Return whether an annotation has at least one labeled keypoint."""
    return not entry.get('iscrowd') and any((entry.get('keypoints') or ())[2::3])


def read_own(path: str | Path, images: str | Path) -> OwnDataset:
    """Read labels and add the fields that mmpose or CocoMetric need.

    Categories without keypoints are left out. Missing sizes of pictures are read from the pictures,
    a missing or empty box goes around the keypoints, and a missing area is that of the box. A note
    tells each of them.

    Args:
        path: COCO JSON, or a file of another tool that :func:`read_labels` reads.
        images: Folder of its pictures.

    Raises:
        UserError: If the file or one of its entries cannot be used.
    """
    path, images = Path(path), Path(images)
    if not images.is_dir():
        raise UserError(f'The folder of the pictures {images} does not exist. Give it by --images.')
    content, notes = read_labels(path, images)
    notes += keep_one_category(path, content)
    count = check_category(path, content)
    notes += shorten_names(path, content, images)
    if added := add_sizes(content, images):
        notes.append(f'width and height of {added} pictures were read from the pictures')
    # The first checks are for what the completion below relies on, the last for its outcome.
    check_coco(str(path), content, CocoLayout(count, plain=False))
    for name in ('width', 'height'):
        require(str(path), 'image', content['images'], name, int, float)
        check_positive(str(path), 'image', content['images'], name)
    notes += complete(content)
    check_coco(str(path), content, CocoLayout(count, evaluation=('area', 'iscrowd')))
    dataset = OwnDataset(path, content, notes)
    if not dataset.persons:
        raise UserError(
            f'{path} has no labeled person: all visibilities are 0 '
            f'({len(content["annotations"])} annotations).'
        )
    return dataset


def keep_one_category(path: Path, content: object) -> list[str]:
    """Remove the other categories if one has keypoints, and return a sentence about them.

    CVAT and Label Studio export the labels of boxes, and of single points, as categories too.

    Raises:
        UserError: If the content is not a COCO JSON's.
    """
    if not isinstance(content, dict):
        raise UserError(
            f'{path} holds a {type(content).__name__}, but a COCO JSON is an object with '
            "'images', 'annotations' and 'categories'."
        )
    categories = entries_of(str(path), content, 'categories')
    kept = [entry for entry in categories if entry.get('keypoints')]
    if len(kept) != 1 or len(categories) == 1:
        return []
    annotations = entries_of(str(path), content, 'annotations')
    number = kept[0].get('id')
    content['categories'] = kept
    content['annotations'] = [e for e in annotations if e.get('category_id') == number]
    names = ', '.join(str(entry.get('name')) for entry in categories if entry not in kept)
    return [f'categories without keypoints were left out: {names}']


def check_category(path: Path, content: dict) -> int:
    """Check that there is one category with names of keypoints; return their number.

    Raises:
        UserError: If not.
    """
    categories = entries_of(str(path), content, 'categories')
    if len(categories) != 1:
        found = ', '.join(str(entry.get('name')) for entry in categories) or 'none'
        raise UserError(
            f'{path} has {len(categories)} categories ({found}), but one network learns the '
            'keypoints of one category. Write one file per category.'
        )
    names = categories[0].get('keypoints')
    texts = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    if not texts or not names:
        raise UserError(
            f"{path}: the category has no list of keypoint names. Add e.g. 'keypoints': "
            "['nose', 'left_eye', 'right_eye'] to its entry in 'categories'."
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f'{path}: the keypoint name {twice!r} is used twice. Names must differ.')
    for link in categories[0].get('skeleton') or []:
        good = isinstance(link, list) and len(link) == 2
        if not good or not all(isinstance(i, int) and 1 <= i <= len(names) for i in link):
            raise UserError(
                f'{path}: the skeleton has the entry {link}, but entries are two numbers of '
                f'keypoints from 1 to {len(names)}.'
            )
    return len(names)


def shorten_names(path: Path, content: dict, images: Path) -> list[str]:
    """Replace names of pictures by their last parts where only those exist in the folder.

    Label Studio writes ``images/photo.jpg``, other tools paths of their own machine.
    """
    listed = content.get('images')
    changed = 0
    for entry in listed if isinstance(listed, list) else []:
        name = entry.get('file_name') if isinstance(entry, dict) else None
        if isinstance(name, str) and name and not (images / name).is_file():
            with suppress(UserError):  # the check of all pictures tells how many are missing
                entry['file_name'] = find_picture(images, name, path)
                changed += 1
    return [f'{changed} names of pictures were shortened to those in {images}'] if changed else []


def add_sizes(content: dict, images: Path) -> int:
    """Add width and height to pictures that lack them; return how many.

    Raises:
        UserError: If such a picture cannot be read.
    """
    listed = content.get('images')
    entries = [entry for entry in listed if isinstance(entry, dict)] if listed else []
    entries = [entry for entry in entries if not {'width', 'height'} <= entry.keys()]
    for entry in entries:
        file = images / str(entry.get('file_name'))
        picture = cv2.imread(str(file))
        if picture is None:
            state = 'cannot be decoded' if file.is_file() else 'does not exist'
            raise UserError(f'The picture {file} {state}. Check --images and the file names.')
        entry['height'], entry['width'] = picture.shape[:2]
    return len(entries)


def complete(content: dict) -> list[str]:
    """Add what mmpose and CocoMetric need to annotations; return a sentence for each addition."""
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    content['annotations'] = [entry for entry in content['annotations'] if entry.get('keypoints')]
    boxes = areas = others = 0
    for entry in content['annotations']:
        points = np.array(entry['keypoints'], float).reshape(-1, 3)
        empty = not entry.get('bbox') or 0 in entry['bbox'][2:]
        if empty and points[:, 2].any() and entry['image_id'] in sizes:
            entry['bbox'] = box_around(points, sizes[entry['image_id']])
            boxes += 1
        if not entry.get('area') and entry.get('bbox'):
            entry['area'] = entry['bbox'][2] * entry['bbox'][3]
            areas += 1
        if not {'iscrowd', 'num_keypoints'} <= entry.keys():
            entry.setdefault('iscrowd', 0)
            entry.setdefault('num_keypoints', int((points[:, 2] > 0).sum()))
            others += 1
    notes = (
        (boxes, 'boxes were put around the keypoints'),
        (areas, 'areas were computed as width * height of the box'),
        (others, 'annotations lacked iscrowd or num_keypoints, which were added'),
    )
    return [f'{count} {note}' for count, note in notes if count]


def box_around(points: np.ndarray, size: Sequence[float]) -> list[float]:
    """Return the box (x, y, width, height) around labeled keypoints, with a margin.

    Args:
        points: (K, 3), x, y and visibility.
        size: Width and height of the picture.
    """
    labeled = points[points[:, 2] > 0, :2]
    lower, upper = labeled.min(0), labeled.max(0)
    margin = max(MARGIN * (upper - lower).max(), 1)
    lower = np.clip(lower - margin, 0, np.subtract(size, 1))
    upper = np.clip(upper + margin, lower + 1, size)
    return [round(float(value), 2) for value in (*lower, *(upper - lower))]


def split_by_image(dataset: OwnDataset) -> tuple[OwnDataset, OwnDataset]:
    """Split a dataset into one to train on and one to validate on, by pictures.

    Raises:
        UserError: If fewer than two pictures have labeled persons.
    """
    labeled = sorted({entry['image_id'] for entry in dataset.persons})
    if len(labeled) < 2:
        raise UserError(
            f'{dataset.path} has {len(labeled)} picture with labeled persons; two are needed to '
            'train and to validate. Label more pictures, or give other ones by --val.'
        )
    random.Random(SEED).shuffle(labeled)
    count = max(1, round(VALIDATION_SHARE * len(labeled)))
    training, validation = (
        replace(dataset, content=part_of(dataset.content, ids), part=True)
        for ids in (set(labeled[count:]), set(labeled[:count]))
    )
    return training, validation


def part_of(content: dict, ids: set[int]) -> dict:
    """Return the part of a COCO JSON's content with these pictures."""
    images = [image for image in content['images'] if image['id'] in ids]
    annotations = [entry for entry in content['annotations'] if entry['image_id'] in ids]
    return content | dict(images=images, annotations=annotations)


def write_json(dataset: OwnDataset, file: Path) -> None:
    """Write a dataset as a COCO JSON."""
    write_text(file, json.dumps(dataset.content))


def check_same_keypoints(train: OwnDataset, val: OwnDataset, other_folder: bool) -> None:
    """Check that two files have the same keypoints, and no picture in common.

    Args:
        train: Annotations to train on.
        val: Annotations to validate on.
        other_folder: Whether their pictures are in different folders, where names may repeat.

    Raises:
        UserError: If the keypoints differ, or a picture is in both.
    """
    for index, (name, other) in enumerate(zip(train.keypoints, val.keypoints, strict=False)):
        if name != other:
            raise UserError(
                f'Keypoint {index + 1} is {name!r} in {train.path}, but {other!r} in {val.path}. '
                'Both files need the same keypoints in the same order.'
            )
    if len(train.keypoints) != len(val.keypoints):
        raise UserError(
            f'{train.path} has {len(train.keypoints)} keypoints, but {val.path} has '
            f'{len(val.keypoints)}. Both files need the same keypoints in the same order.'
        )
    names, others = (set(map(os.path.normpath, part.pictures)) for part in (train, val))
    if not other_folder and (common := sorted(names & others)):
        raise UserError(
            f'{len(common)} pictures are in both {train.path} and {val.path}, e.g. {common[0]}. '
            'Validate on other pictures than those of the training.'
        )
