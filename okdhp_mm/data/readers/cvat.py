"""Read the XML that CVAT exports as "CVAT for images 1.1"."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ...errors import UserError
from .coco_content import VISIBLE, CocoContent, Point, enclosing_box
from .picture_files import find_picture

HIDDEN = 1
CENTER = (0.5, 0.5)


class TreeBuilder(ElementTree.TreeBuilder):
    """Builder that refuses document types, because their entities can fill the memory."""

    def doctype(self, *_: str | None) -> None:
        """Refuse the file before its entities are read.

        Raises:
            UserError: Always.
        """
        raise UserError('it has a DOCTYPE, which exports of CVAT do not have')


def read_cvat(path: Path, images: Path) -> tuple[dict, list[str]]:
    """Read "CVAT for images 1.1" as content of a COCO JSON.

    A box in the group of a skeleton becomes its box. Points that are outside are not labeled, and
    occluded points are hidden.

    Args:
        path: The XML file.
        images: Folder of the pictures.

    Returns:
        The content, and sentences about it.

    Raises:
        UserError: If the file is not such an export, or a picture is missing.
    """
    root = parse(path)
    skeletons = list(root.iter('skeleton'))
    labels = sorted({skeleton.get('label', '') for skeleton in skeletons})
    if len(labels) != 1:
        hint = 'Label with a skeleton in CVAT' if not labels else 'Export one task per skeleton'
        raise UserError(
            f'{path} has skeletons of {len(labels)} labels ({", ".join(labels) or "none"}), but '
            f'one network learns the keypoints of one skeleton. {hint}.'
        )
    names, links = describe(root, labels[0])
    for skeleton in skeletons:
        names += [name for name in labeled_names(skeleton) if name not in names]
    coco = CocoContent(labels[0], names, links)
    for image in root.iter('image'):
        where = f'{path}: image {image.get("name")!r}'
        found = [
            (points, box_of(image, skeleton.get('group_id'), where))
            for skeleton in image.iter('skeleton')
            if (points := points_of(skeleton, where))
        ]
        if found:
            file = find_picture(images, image.get('name', ''), path)
            coco.add_image(file, *(number(image, side, where) for side in ('width', 'height')))
            for points, box in found:
                coco.add_instance(points, box)
    return coco.content, [
        f'CVAT: {len(coco.annotations)} labeled skeletons in {len(coco.images)} pictures'
    ]


def parse(path: Path) -> Element:
    """Parse a file of CVAT.

    Raises:
        UserError: If it is not one, or one of a video.
    """
    try:
        root = ElementTree.parse(path, ElementTree.XMLParser(target=TreeBuilder())).getroot()
    except UserError as error:
        raise UserError(f'{path} is refused: {error}.') from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also unknown encodings
        raise UserError(f'{path} is not complete XML ({error}).') from error
    if root.tag != 'annotations' or root.find('track') is not None:
        found = 'tracks of a video' if root.tag == 'annotations' else f'<{root.tag}>'
        raise UserError(f"{path} holds {found}. Export from CVAT as 'CVAT for images 1.1'.")
    return root


def describe(root: Element, label: str) -> tuple[list[str], list[list[int]]]:
    """Return the names of a skeleton's keypoints and its lines, as the file describes them."""
    entries = list(root.iterfind('meta//label'))
    names = [entry.findtext('name', '') for entry in entries if entry.findtext('parent') == label]
    drawing = next((e.findtext('svg') for e in entries if e.findtext('name') == label), None)
    try:
        svg = ElementTree.fromstring(f'<svg>{drawing or ""}</svg>')
    except ElementTree.ParseError:  # a drawing that only browsers read; lines are optional
        return names, []
    nodes = {node.get('data-node-id'): node.get('data-label-name') for node in svg.iter()}
    lines = [
        [nodes.get(edge.get(f'data-node-{end}')) for end in ('from', 'to')] for edge in svg.iter()
    ]
    links = [line for line in lines if set(line) <= set(names)]
    return names, [[names.index(str(name)) + 1 for name in line] for line in links]


def labeled_names(skeleton: Element) -> list[str]:
    """Return the names of a skeleton's points."""
    return [point.get('label', '') for point in skeleton.iter('points')]


def points_of(skeleton: Element, where: str) -> dict[str, Point]:
    """Return the labeled keypoints of a skeleton by name.

    Raises:
        UserError: If a point is not two numbers.
    """
    points: dict[str, Point] = {}
    for point in skeleton.iter('points'):
        if point.get('outside') == '1':
            continue
        try:
            x, y = map(float, point.get('points', '').split(','))
        except ValueError as error:
            text = f'{point.get("label")!r} is at {point.get("points")!r}'
            raise UserError(f'{where}: the point {text}, which is not one x,y.') from error
        points[point.get('label', '')] = x, y, HIDDEN if point.get('occluded') == '1' else VISIBLE
    return points


def box_of(image: Element, group: str | None, where: str) -> list[float] | None:
    """Return the box in a group, or None."""
    if group in (None, '0'):
        return None
    for box in image.iterfind('box'):
        if box.get('group_id') == group:
            left, top, right, bottom = (
                number(box, name, where) for name in ('xtl', 'ytl', 'xbr', 'ybr')
            )
            degrees = number(box, 'rotation', where) if box.get('rotation') else 0
            return enclosing_box((left, top, right - left, bottom - top), degrees, CENTER)
    return None


def number(element: Element, name: str, where: str) -> float:
    """Return a number of an element.

    Raises:
        UserError: If it is not a number.
    """
    try:
        return float(element.get(name, ''))
    except ValueError as error:
        value = element.get(name)
        raise UserError(
            f'{where}: `{name}` of <{element.tag}> is {value!r}, not a number.'
        ) from error
