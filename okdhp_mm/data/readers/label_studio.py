"""Read the JSON export of Label Studio.

The export is a list of tasks, each with a picture and the results of its annotators. Keypoints and
boxes are in percent of the picture. A keypoint belongs to the box that is its parent or that a
relation joins it to, otherwise to the only box around it. Without boxes, all keypoints of a
picture are one person or animal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ...errors import UserError
from .coco_content import VISIBLE, CocoContent, Point, enclosing_box
from .picture_files import find_picture

UPLOAD_PREFIX = re.compile(r'^[0-9a-f]{8}-')
"""Label Studio puts eight characters before the name of an uploaded file."""
SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.gif'}


@dataclass
class Instance:
    """A person or an animal.

    Attributes:
        box: x, y, width and height in pixels; None if it is not drawn.
        label: Label of the box.
        points: Keypoints by name.
    """

    box: list[float] | None = None
    label: str | None = None
    points: dict[str, Point] = field(default_factory=dict)


def read_label_studio(path: Path, images: Path, tasks: list) -> tuple[dict, list[str]]:
    """Read the JSON export of Label Studio as content of a COCO JSON.

    Args:
        path: The file.
        images: Folder of the pictures.
        tasks: Content of the file.

    Returns:
        The content, and sentences about it.

    Raises:
        UserError: If the file is not such an export, or a picture is missing.
    """
    pictures: list[tuple[str, tuple[float, float], list[Instance]]] = []
    several = 0
    for index, task in enumerate(tasks):
        where = f'{path}: task {task.get("id", index) if isinstance(task, dict) else index}'
        annotations = annotations_of(task, where)
        several += len(annotations) > 1
        if not annotations:
            continue
        results = results_of(newest(annotations), where)
        if instances := group(results, where):
            file = picture_of(task, images, path, where)
            pictures.append((file, size_of(results, where), instances))
    used = [instance for _, _, instances in pictures for instance in instances]
    names = sorted({name for instance in used for name in instance.points})
    if not names:
        raise UserError(f'{path} has no labeled keypoints (KeyPointLabels) in {len(tasks)} tasks.')
    labels = sorted({instance.label for instance in used if instance.label})
    if len(labels) > 1:
        raise UserError(
            f'{path} has keypoints in boxes of {len(labels)} labels ({", ".join(labels)}), but one '
            'network learns the keypoints of one label. Export one project per label.'
        )
    coco = CocoContent(labels[0] if labels else 'animal', names)
    for file, size, instances in pictures:
        coco.add_image(file, *size)
        for instance in instances:
            coco.add_instance(instance.points, instance.box)
    notes = [f'Label Studio: {len(used)} labeled in {len(pictures)} of {len(tasks)} tasks']
    if several:
        notes.append(f'{several} tasks have several annotations, of which the newest was read')
    return coco.content, notes


def annotations_of(task: Any, where: str) -> list[dict]:
    """Return the annotations of a task that were not skipped.

    Raises:
        UserError: If the entry is not a task.
    """
    annotations = task.get('annotations') if isinstance(task, dict) else None
    if not isinstance(annotations, list) or not isinstance(task.get('data'), dict):
        raise UserError(
            f'{where} does not have `data` and a list of `annotations`. Export from Label Studio '
            "as 'JSON', not as 'JSON-MIN'."
        )
    entries = [entry for entry in annotations if isinstance(entry, dict)]
    return [entry for entry in entries if not entry.get('was_cancelled')]


def newest(annotations: Sequence[dict]) -> dict:
    """Return the annotation marked as ground truth if there is one, else the newest."""
    return max(
        annotations,
        key=lambda entry: (bool(entry.get('ground_truth')), str(entry.get('updated_at') or '')),
    )


def results_of(annotation: dict, where: str) -> list[dict]:
    """Return the results of an annotation.

    Raises:
        UserError: If they are not a list of objects.
    """
    results = annotation.get('result')
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise UserError(f'{where}: `result` must be a list of objects.')
    return results


def group(results: Sequence[dict], where: str) -> list[Instance]:
    """Return the persons or animals of a picture that have keypoints.

    Raises:
        UserError: If a keypoint cannot be assigned to a box, or is used twice in one.
    """
    boxes = {
        str(entry.get('id')): Instance(box_of(entry, where), label_of(entry, 'rectanglelabels'))
        for entry in results
        if entry.get('type') == 'rectanglelabels'
    }
    parents = {entry.get('id'): entry.get('parentID') for entry in results}
    for source, target in relations(results):
        parents[source] = target if target in boxes else parents.get(source)
    whole = Instance()
    for entry in results:
        if entry.get('type') != 'keypointlabels':
            continue
        name = label_of(entry, 'keypointlabels')
        if name is None:
            raise UserError(f'{where}: a keypoint has no label.')
        width, height = original_size(entry, where)
        x, y = (value / 100 for value in numbers(entry, ('x', 'y'), where))
        point = x * width, y * height, VISIBLE
        instance = boxes.get(str(parents.get(entry.get('id'))))
        if instance is None:
            instance = around(point, name, list(boxes.values()), where) if boxes else whole
        if name in instance.points:
            raise UserError(
                f'{where}: the keypoint {name!r} is labeled twice in one person or animal. If the '
                'picture shows several, draw a box (RectangleLabels) around each and make it the '
                'parent of its keypoints.'
            )
        instance.points[name] = point
    return [instance for instance in (*boxes.values(), whole) if instance.points]


def relations(results: Sequence[dict]) -> Iterator[tuple[Any, Any]]:
    """Yield the ids that relations join, in both directions."""
    for entry in results:
        if entry.get('type') == 'relation':
            yield entry.get('from_id'), entry.get('to_id')
            yield entry.get('to_id'), entry.get('from_id')


def around(point: Point, name: str, boxes: Sequence[Instance], where: str) -> Instance:
    """Return the only box, or the only one around a point.

    Raises:
        UserError: If none or several of several boxes are around it.
    """
    if len(boxes) == 1:
        return boxes[0]
    found = [instance for instance in boxes if instance.box and contains(instance.box, point)]
    if len(found) != 1:
        raise UserError(
            f'{where}: the keypoint {name!r} is in {len(found)} of {len(boxes)} boxes. Make the '
            'right box its parent in Label Studio: drag the keypoint onto it in the list of '
            'regions.'
        )
    return found[0]


def contains(box: Sequence[float], point: Point) -> bool:
    """Return whether a point is in a box."""
    x, y, width, height = box
    return x <= point[0] <= x + width and y <= point[1] <= y + height


def box_of(entry: dict, where: str) -> list[float]:
    """Return the upright box around a rectangle, in pixels."""
    width, height = original_size(entry, where)
    x, y, w, h = numbers(entry, ('x', 'y', 'width', 'height'), where)
    box = x * width / 100, y * height / 100, w * width / 100, h * height / 100
    return enclosing_box(box, entry['value'].get('rotation') or 0)


def label_of(entry: dict, kind: str) -> str | None:
    """Return the label of a result."""
    value = entry.get('value')
    labels = value.get(kind) if isinstance(value, dict) else None
    return str(labels[0]) if isinstance(labels, list) and labels else None


def size_of(results: Sequence[dict], where: str) -> tuple[float, float]:
    """Return width and height of the picture that these results are of."""
    return original_size(next(e for e in results if e.get('type') == 'keypointlabels'), where)


def original_size(entry: dict, where: str) -> tuple[float, float]:
    """Return width and height of the picture.

    Raises:
        UserError: If they are missing, or the picture was turned in Label Studio.
    """
    size = entry.get('original_width'), entry.get('original_height')
    if not all(isinstance(side, int | float) and side > 0 for side in size):
        raise UserError(f'{where}: `original_width` or `original_height` is missing in a result.')
    if entry.get('image_rotation'):
        raise UserError(
            f'{where}: the picture was rotated by {entry["image_rotation"]} degrees in Label '
            'Studio, which cannot be read. Rotate the file and label it again.'
        )
    return size  # type: ignore[return-value]  # checked above


def numbers(entry: dict, names: Sequence[str], where: str) -> list[float]:
    """Return numbers of a result's value.

    Raises:
        UserError: If one is missing.
    """
    value = entry.get('value')
    found = [value.get(name) if isinstance(value, dict) else None for name in names]
    present = [number for number in found if isinstance(number, int | float)]
    if len(present) < len(names):
        raise UserError(f'{where}: a result of type {entry["type"]!r} lacks {" or ".join(names)}.')
    return present


def picture_of(task: dict, images: Path, path: Path, where: str) -> str:
    """Return the picture of a task, as a path inside the folder.

    Raises:
        UserError: If the task does not name a picture, or the folder does not have it.
    """
    texts = [value for value in task['data'].values() if isinstance(value, str)]
    names = [name for name in map(path_in_url, texts) if Path(name).suffix.lower() in SUFFIXES]
    if len(names) != 1:
        raise UserError(f'{where}: `data` names {len(names)} pictures instead of one.')
    try:
        return find_picture(images, names[0], path)
    except UserError:
        short = UPLOAD_PREFIX.sub('', Path(names[0]).name)
        if (images / short).is_file():
            return short
        raise


def path_in_url(text: str) -> str:
    """Return the path of a file that a URL names.

    Label Studio names local files as ``/data/local-files/?d=PATH``.
    """
    parts = urlsplit(text)
    return parse_qs(parts.query).get('d', [unquote(parts.path)])[0]
