"""Check the contents of annotation files: COCO-style JSON and MPII's JSON.

Every check raises a UserError that names the file, the entry and the reason. Numbers are checked
with numpy for the complete file; single entries are looked at only to name the wrong one.
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from logging import WARNING
from typing import Any, NoReturn

import numpy as np
from mmengine.logging import print_log

from ..errors import UserError

NUMBERS = {int, float, bool}
TYPE_NAMES = {int: 'an integer', float: 'a number', str: 'text'}
LARGEST_ID = 2**63
"""Ids are stored as 64-bit integers."""
FARTHEST = 1e7
"""Largest coordinate in pixels; float32 represents larger ones too coarsely."""
FEW = 0.01
"""Largest share of labeled persons that may have a box without area; mmpose skips them."""


@dataclass(frozen=True)
class CocoLayout:
    """Requirements on a COCO-style file.

    Attributes:
        keypoints: Number of keypoints of every person; None if the dataset class decides.
        plain: Whether mmpose reads the file by its standard reader, which needs more fields.
        evaluation: Fields that the metric needs in every annotation with keypoints, and
            'keypoints' if it needs them in every annotation.
    """

    keypoints: int | None = None
    plain: bool = True
    evaluation: Sequence[str] = ()


def check_coco(path: str, content: Any, layout: CocoLayout) -> None:
    """Check the content of a COCO-style file.

    Args:
        path: Name of the file, to name in errors.
        content: Content of the file.
        layout: Requirements on it.

    Raises:
        UserError: If mmpose could not read the content, train on it or evaluate it.
    """
    if not isinstance(content, dict):
        raise UserError(
            f'{path} holds a {type(content).__name__}, but COCO-style annotations are an object '
            "with 'images' and 'annotations'."
        )
    images = entries_of(path, content, 'images')
    annotations = entries_of(path, content, 'annotations')
    categories = categories_of(path, content, layout)
    require(path, 'image', images, 'id', int)
    require(path, 'image', images, 'file_name', str)
    require(path, 'annotation', annotations, 'id', int)
    require(path, 'annotation', annotations, 'image_id', int)
    for kind, entries in (('image', images), ('annotation', annotations)):
        check_unique(path, kind, entries)
    if layout.plain:
        for name in ('width', 'height'):
            require(path, 'image', images, name, int, float)
            check_positive(path, 'image', images, name)
    if layout.plain or 'categories' in content:
        require(path, 'annotation', annotations, 'category_id', int)
    check_persons(path, annotations, layout)
    if layout.evaluation:
        check_evaluated(path, annotations, categories, layout.evaluation)
    if layout.plain:
        check_labeled(path, images, annotations)


def categories_of(path: str, content: dict, layout: CocoLayout) -> list[dict]:
    """Return the categories, which only an evaluation needs.

    Raises:
        UserError: If they are missing or wrong.
    """
    if layout.evaluation and not content.get('categories'):
        raise UserError(
            f'{path} has no categories, which CocoMetric needs. Add e.g. "categories": '
            '[{"id": 1, "name": "person"}] if the category_id of every annotation is 1.'
        )
    categories = entries_of(path, content, 'categories') if 'categories' in content else []
    require(path, 'category', categories, 'id', int)
    return categories


def check_evaluated(
    path: str, annotations: Sequence[dict], categories: Sequence[dict], fields: Sequence[str]
) -> None:
    """Check what CocoMetric needs in the annotations.

    Raises:
        UserError: If an annotation lacks it.
    """
    for name in fields:
        for entry in annotations:
            if name not in entry and (name == 'keypoints' or 'keypoints' in entry):
                hint = ' (or set use_area=False in the metric)' if name == 'area' else ''
                reason = f'`{name}` is missing, which CocoMetric needs{hint}'
                fail(path, 'annotation', entry, reason)
    known = {category['id'] for category in categories}
    for entry in annotations:
        if entry.get('category_id') not in known:
            reason = f'`category_id` {entry.get("category_id")} is not in `categories`'
            fail(path, 'annotation', entry, reason)


def check_persons(path: str, annotations: Sequence[dict], layout: CocoLayout) -> None:
    """Check keypoints, boxes and other numbers of the annotations.

    Raises:
        UserError: If an annotation is wrong.
    """
    check_keypoints(path, [entry for entry in annotations if 'keypoints' in entry], layout)
    boxed = [entry for entry in annotations if 'bbox' in entry]
    check_numbers(path, boxed, 'bbox')
    for entry in boxed:
        if len(entry['bbox']) != 4:
            fail(path, 'annotation', entry, '`bbox` must be [x, y, width, height]')
        if layout.plain and min(entry['bbox'][2:]) < 0:
            fail(path, 'annotation', entry, '`bbox` has a negative width or height')
    for name in ('num_keypoints', 'area', 'iscrowd'):
        given = [entry for entry in annotations if name in entry]
        require(path, 'annotation', given, name, int, float)
        for entry in given:
            if not 0 <= entry[name] < math.inf:
                value = reprlib.repr(entry[name])
                fail(path, 'annotation', entry, f'`{name}` is {value}, not a number from 0 up')


def check_keypoints(path: str, persons: Sequence[dict], layout: CocoLayout) -> None:
    """Check the number of keypoints and their visibilities.

    Raises:
        UserError: If those of an annotation are wrong.
    """
    check_numbers(path, persons, 'keypoints')
    for entry in persons:
        count, rest = divmod(len(entry['keypoints']), 3)
        if rest:
            length = 3 * count + rest
            fail(path, 'annotation', entry, f'`keypoints` has {length} numbers, not 3 each')
        if layout.keypoints is not None and count != layout.keypoints:
            fail(
                path,
                'annotation',
                entry,
                f'`keypoints` has {count} keypoints, but the metainfo has {layout.keypoints}',
            )
    if layout.plain and persons and layout.keypoints:
        values = np.array(list(chain.from_iterable(entry['keypoints'] for entry in persons)))
        visible = values.reshape(len(persons), -1, 3)[..., 2]
        rows = np.flatnonzero(((visible < 0) | (visible > 2)).any(axis=1))
        if len(rows):
            fail(
                path,
                'annotation',
                persons[rows[0]],
                'a visibility is not 0 (not labeled), 1 (hidden) or 2 (visible)',
            )


def check_detections(path: str, content: Any, images: Sequence[dict]) -> None:
    """Check the content of a file of detected boxes.

    Args:
        path: Name of the file, to name in errors.
        content: Content of the file.
        images: Images of the annotation file.

    Raises:
        UserError: If mmpose could not read the content.
    """
    if not isinstance(content, list):
        raise UserError(
            f'{path} holds a {type(content).__name__}, but detected boxes are a list of objects '
            'with image_id, category_id, bbox and score.'
        )
    boxes = entries_of(path, dict(boxes=content), 'boxes')
    boxes = [dict(entry, id=index) for index, entry in enumerate(boxes)]
    require(path, 'box', boxes, 'category_id', int)
    boxes = [entry for entry in boxes if entry['category_id'] == 1]
    require(path, 'box', boxes, 'image_id', int)
    require(path, 'box', boxes, 'score', int, float)
    check_numbers(path, boxes, 'bbox', 'box')
    known = {image['id'] for image in images}
    for entry in boxes:
        if len(entry['bbox']) != 4:
            fail(path, 'box', entry, '`bbox` must be [x, y, width, height]')
        if not math.isfinite(entry['score']):
            fail(path, 'box', entry, f'`score` is {entry["score"]}, not a finite number')
        if entry['image_id'] not in known:
            fail(path, 'box', entry, 'the annotation file has no such image')


def check_labeled(path: str, images: Sequence[dict], annotations: Sequence[dict]) -> None:
    """Check that there are persons, and that most of their boxes have an area.

    Raises:
        UserError: If mmpose would skip all persons, or many because of their boxes.
    """
    known = {image['id'] for image in images}
    labeled = [
        entry
        for entry in annotations
        if entry.get('bbox') and entry.get('keypoints') and not entry.get('iscrowd')
        and entry.get('num_keypoints', 1) and entry['image_id'] in known
    ]  # fmt: skip
    if not labeled:
        raise UserError(
            f'{path} has no person with a box, labeled keypoints and an image '
            f'({len(annotations)} annotations, {len(images)} images).'
        )
    flat = [entry for entry in labeled if not min(entry['bbox'][2:])]
    if len(flat) > FEW * len(labeled):
        reason = f'`bbox` has no area, as in {len(flat)} of {len(labeled)} persons'
        fail(path, 'annotation', flat[0], reason)
    if flat:
        print_log(
            f'{path}: {len(flat)} of {len(labeled)} persons have a box without area and are '
            f'skipped, e.g. annotation {flat[0]["id"]}.',
            'current',
            WARNING,
        )


def check_unlabeled(path: str, content: Any) -> list[str]:
    """Check a COCO file of persons that need no keypoints; return the names of their pictures.

    Args:
        path: Name of the file, to name in errors.
        content: Content of the file.

    Raises:
        UserError: If it cannot be used, or has no person with a box and an image.
    """
    check_coco(path, content, CocoLayout(plain=False))
    images, annotations = content['images'], content['annotations']
    boxed = {
        entry['image_id']
        for entry in annotations
        if min(entry.get('bbox', (0, 0))[2:], default=0) > 0 and not entry.get('iscrowd')
    }
    names = [image['file_name'] for image in images if image['id'] in boxed]
    if not names:
        raise UserError(
            f'{path} has no person with a box and an image ({len(annotations)} annotations, '
            f'{len(images)} images).'
        )
    return names


def check_mpii(path: str, content: Any, keypoints: int, head_boxes: int | None = None) -> None:
    """Check the content of a file of MPII's layout.

    Args:
        path: Name of the file, to name in errors.
        content: Content of the file.
        keypoints: Number of keypoints of every person.
        head_boxes: Number of boxes in the file of the head boxes, if there is one.

    Raises:
        UserError: If mmpose could not read the content, train on it or evaluate it.
    """
    persons = entries_of(path, dict(persons=content), 'persons')
    if not persons:
        raise UserError(f'{path} has no person.')
    if head_boxes is not None and head_boxes != len(persons):
        raise UserError(
            f'{path} has {len(persons)} persons, but the headbox_file has {head_boxes} head boxes. '
            'Use the files of the same split.'
        )
    persons = [dict(entry, id=index) for index, entry in enumerate(persons)]
    require(path, 'person', persons, 'image', str)
    require(path, 'person', persons, 'scale', int, float)
    check_positive(path, 'person', persons, 'scale')
    for entry in persons:
        if not entry['image'].split('.')[0].isdecimal():
            fail(path, 'person', entry, '`image` must be a number and a suffix, e.g. 015601864.jpg')
        joints = entry.get('joints')
        if not isinstance(joints, list) or not all(
            isinstance(joint, list) and len(joint) == 2 for joint in joints
        ):
            fail(path, 'person', entry, '`joints` must be a list of [x, y]')
        entry['joints'] = list(chain.from_iterable(joints))
    for name, length in (('center', 2), ('joints', 2 * keypoints), ('joints_vis', keypoints)):
        check_numbers(path, persons, name, 'person')
        for entry in persons:
            if len(entry[name]) != length:
                fail(
                    path,
                    'person',
                    entry,
                    f'`{name}` has {len(entry[name])} numbers, but {length} are needed for '
                    f'{keypoints} keypoints',
                )


def entries_of(path: str, content: dict, name: str) -> list[dict]:
    """Return a list of objects of a file.

    Raises:
        UserError: If it is missing or something else.
    """
    entries = content.get(name)
    if not isinstance(entries, list):
        what = 'is missing' if name not in content else f'is a {type(entries).__name__}'
        raise UserError(f'{path}: `{name}` {what}, but must be a list of objects.')
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UserError(
                f'{path}: entry {index} of `{name}` is {reprlib.repr(entry)}, not an object.'
            )
    return entries


def require(path: str, kind: str, entries: Iterable[dict], name: str, *types: type) -> None:
    """Check that every entry has a field of one of these types.

    Raises:
        UserError: If an entry does not.
    """
    names = ' or '.join(TYPE_NAMES[type_] for type_ in types)
    for index, entry in enumerate(entries):
        value: Any = entry.get(name)
        good = isinstance(value, types) and value != ''
        if good and types == (int,):
            good = value is not True and value is not False and abs(value) < LARGEST_ID
        if not good:
            wrong = f'is {reprlib.repr(value)}' if name in entry else 'is missing'
            named = dict(entry, id=entry.get('id', f'number {index}'))
            fail(path, kind, named, f'`{name}` {wrong}, but must be {names}')


def check_unique(path: str, kind: str, entries: Sequence[dict]) -> None:
    """Check that no id is used twice.

    Raises:
        UserError: If one is.
    """
    counts = Counter(entry['id'] for entry in entries)
    if len(counts) < len(entries):
        ((used, times),) = counts.most_common(1)
        raise UserError(f'{path}: {kind} id {used} is used {times} times, but ids must be unique.')


def check_positive(path: str, kind: str, entries: Iterable[dict], name: str) -> None:
    """Check that a number is positive and finite in every entry.

    Raises:
        UserError: If one is not.
    """
    for entry in entries:
        if not 0 < entry[name] <= FARTHEST:
            value = reprlib.repr(entry[name])
            fail(path, kind, entry, f'`{name}` is {value}, not a positive number')


def check_numbers(path: str, entries: Sequence[dict], name: str, kind: str = 'annotation') -> None:
    """Check that a field is a list of finite numbers in every entry.

    Raises:
        UserError: If one is not.
    """
    rows = [entry.get(name) for entry in entries]
    if not finite(rows):
        index = next(index for index, row in enumerate(rows) if not finite([row]))
        reason = f'`{name}` is not a list of finite numbers below {FARTHEST:.0e}'
        fail(path, kind, entries[index], reason)


def finite(rows: Sequence[Any]) -> bool:
    """Return whether all rows are lists of finite numbers that can be coordinates."""
    if not all(isinstance(row, list) for row in rows):
        return False
    flat = list(chain.from_iterable(rows))
    if not set(map(type, flat)) <= NUMBERS:
        return False
    try:
        values = np.array(flat, dtype=np.float64)
    except OverflowError:
        return False
    return bool((np.abs(values) <= FARTHEST).all())


def fail(path: str, kind: str, entry: dict, reason: str) -> NoReturn:
    """Raise the error about an entry."""
    image = f' (image {reprlib.repr(entry["image_id"])})' if 'image_id' in entry else ''
    raise UserError(f'{path}: {kind} {reprlib.repr(entry.get("id"))}{image}: {reason}.')
