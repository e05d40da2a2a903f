"""Read the tables (CSV) of DeepLabCut and Lightning Pose.

Their first rows name scorer, (individual,) bodypart and coordinate of every column; each further
row is a picture, named in its first column or, by newer DeepLabCut, in its first three.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...errors import UserError
from .coco_content import VISIBLE, CocoContent
from .picture_files import find_picture

HEADER = ('scorer', 'individuals', 'bodyparts', 'coords')
SINGLE = ''


@dataclass(frozen=True)
class Table:
    """A table of keypoints.

    Attributes:
        keypoints: Names of the keypoints.
        individuals: Names of the individuals; ``['']`` if each picture has one.
        pictures: Name of the picture of every row.
        values: (row, individual, keypoint, 2), in pixels; NaN where it is not labeled.
        likelihoods: (row, individual, keypoint); NaN in a table of labels.
    """

    keypoints: list[str]
    individuals: list[str]
    pictures: list[str]
    values: np.ndarray
    likelihoods: np.ndarray


def read_table(path: str | Path, images: str | Path) -> tuple[dict, str]:
    """Read the CSV of DeepLabCut or Lightning Pose as content of a COCO JSON.

    The box of an individual is the complete picture if there is one per picture, as these tools
    train on it. Otherwise the annotations have no box.

    Args:
        path: The table.
        images: Folder of the pictures.

    Returns:
        The content, and a sentence about the boxes.

    Raises:
        UserError: If it is not such a table, or a picture is missing.
    """
    table = parse(Path(path))
    coco = CocoContent('animal', table.keypoints)
    for picture, row in zip(table.pictures, table.values, strict=True):
        labeled = ~np.isnan(row).any(-1)
        if not labeled.any():
            continue
        file = find_picture(Path(images), picture, Path(path))
        image = cv2.imread(str(Path(images) / file))
        if image is None:
            raise UserError(f'The picture {Path(images) / file} cannot be decoded.')
        height, width = image.shape[:2]
        coco.add_image(file, width, height)
        box = [0, 0, width, height] if table.individuals == [SINGLE] else None
        for points, there in zip(row, labeled, strict=True):
            if there.any():
                found = zip(table.keypoints, points.tolist(), there, strict=True)
                coco.add_instance(
                    {name: (x, y, VISIBLE) for name, (x, y), is_ in found if is_}, box
                )
    if table.individuals == [SINGLE]:
        return coco.content, 'the box of every animal is the complete picture'
    return (
        coco.content,
        f'{len(table.individuals)} individuals, whose boxes are made of their keypoints',
    )


def parse(path: Path) -> Table:
    """Parse a table.

    Raises:
        UserError: If it does not exist, or is not a table of one of these tools.
    """
    rows = read_rows(path)
    header = {row[0].strip().lower(): row for row in rows[:4] if row[0].strip().lower() in HEADER}
    if not {'bodyparts', 'coords'} <= header.keys():
        raise UserError(
            f'{path} is not a table of DeepLabCut or Lightning Pose: its first rows must start '
            "with 'scorer', 'bodyparts' and 'coords'."
        )
    width = len(header['coords'])
    # Newer DeepLabCut names a picture in three columns, two of which have no heading.
    named = next((i for i in range(1, width) if header['coords'][i].strip()), width)
    columns = find_columns(path, header, range(named, width))
    keypoints = list(dict.fromkeys(part for _, part in columns))
    individuals = list(dict.fromkeys(whose for whose, _ in columns))
    data = rows[len(header) :]
    if not keypoints or not data:
        raise UserError(f'{path} has {len(keypoints)} bodyparts and {len(data)} pictures.')
    cells = np.full((len(data), len(individuals), len(keypoints), 3), math.nan)
    for line, row in enumerate(data):
        if len(row) != width:
            raise UserError(
                f'{path}: the row of {row[0]!r} has {len(row)} columns instead of {width}.'
            )
        for (whose, part), place in columns.items():
            cell = cells[line, individuals.index(whose), keypoints.index(part)]
            for axis, name in enumerate(('x', 'y', 'likelihood')):
                if name in place:
                    cell[axis] = number(path, row, place[name])
    pictures = ['/'.join(filter(None, row[:named])) for row in data]
    return Table(keypoints, individuals, pictures, cells[..., :2], cells[..., 2])


def read_rows(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file that are not empty.

    Raises:
        UserError: If the file does not exist or is not CSV.
    """
    if not path.is_file():
        raise UserError(f'The table {path} does not exist.')
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            return [row for row in csv.reader(file) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path} is not a CSV file of UTF-8 text ({error}).') from error


def find_columns(
    path: Path, header: dict[str, list[str]], indices: range
) -> dict[tuple[str, str], dict[str, int]]:
    """Map individual and bodypart to the columns of their coordinates, by name.

    Raises:
        UserError: If a bodypart lacks x or y.
    """
    columns: dict[tuple[str, str], dict[str, int]] = {}
    for index in indices:
        whose = header['individuals'][index] if 'individuals' in header else SINGLE
        place = columns.setdefault((whose, header['bodyparts'][index]), {})
        place[header['coords'][index].strip()] = index
    for (_, part), place in columns.items():
        if not {'x', 'y'} <= place.keys():
            raise UserError(f"{path}: the bodypart {part!r} has no columns 'x' and 'y'.")
    return columns


def number(path: Path, row: list[str], index: int) -> float:
    """Return a cell's number, NaN if the cell is empty.

    Raises:
        UserError: If it is not a number.
    """
    text = row[index].strip()
    try:
        value = float(text or 'nan')
    except ValueError as error:
        raise UserError(f'{path}: the row of {row[0]!r} has {text!r} as a coordinate.') from error
    if math.isinf(value):
        raise UserError(f'{path}: the row of {row[0]!r} has an infinite coordinate.')
    return value
