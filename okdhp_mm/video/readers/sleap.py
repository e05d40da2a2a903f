"""Read the table (CSV) that SLEAP writes by `File > Export Analysis CSV`.

Its first row names the columns: track, frame_idx, instance.score, and NODE.x, NODE.y, NODE.score of
each node. Each further row is an animal in a frame. An animal that was labeled has no score.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...data.readers.deeplabcut import number
from ...errors import UserError

FRAME, TRACK, SCORE = 'frame_idx', 'track', 'instance.score'


def is_sleap(path: Path) -> bool:
    """Return whether the first row of a text file is that of SLEAP."""
    with open(path, encoding='utf-8-sig', errors='replace') as file:
        return FRAME in next(csv.reader(file), [])


def parse(path: Path) -> tuple[list[str], Iterator[tuple[str, str, np.ndarray]]]:
    """Return the names of the keypoints, and of each row: frame, track, and x, y, score (K, 3).

    A label replaces the prediction of its track in the same frame.

    Raises:
        UserError: If a column or a number is missing.
    """
    with open(path, newline='', encoding='utf-8-sig') as file:
        header, *rows = [row for row in csv.reader(file) if any(row)]
    places = {name: index for index, name in enumerate(header)}
    if any(re.fullmatch(r'inst\d+\.score', name) for name in header):
        raise UserError(
            f'{path} has all animals of a frame in one row. Write a row per animal: in sleap-io by '
            "save_csv(..., format='sleap')."
        )
    # The order of the columns may be alphabetical.
    names = [name[:-2] for name in header if name.endswith('.x') and f'{name[:-2]}.y' in places]
    if not names or not rows:
        raise UserError(f'{path} has {len(names)} keypoints (NODE.x, NODE.y) and {len(rows)} rows.')
    if wrong := next((row for row in rows if len(row) != len(header)), None):
        raise UserError(
            f'{path}: a row has {len(wrong)} columns instead of {len(header)}: {wrong}.'
        )

    def place_of(row: list[str]) -> tuple[str, str]:
        return row[places[FRAME]].strip(), row[places[TRACK]].strip() if TRACK in places else ''

    def is_label(row: list[str]) -> bool:
        return SCORE in places and np.isnan(number(path, row, places[SCORE]))

    labels = {place_of(row) for row in rows if is_label(row)}

    def read() -> Iterator[tuple[str, str, np.ndarray]]:
        for row in rows:
            frame, track = place_of(row)
            if track and (frame, track) in labels and not is_label(row):
                continue
            yield frame, track, points_of(path, row, places, names)

    return names, read()


def points_of(path: Path, row: list[str], places: dict[str, int], names: list[str]) -> np.ndarray:
    """Return x, y and score of the keypoints in a row, (K, 3); NaN for an empty or missing cell.

    Raises:
        UserError: If a cell is not a number.
    """
    points = np.full((len(names), 3), np.nan)
    for point, name in zip(points, names, strict=True):
        for axis, suffix in enumerate(('x', 'y', 'score')):
            if (place := places.get(f'{name}.{suffix}')) is not None:
                point[axis] = number(path, row, place)
    return points
