"""All poses of a run in one file: CSV, or the results format of COCO."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from .sources import Frame
from .writers import GrowingJson

CATEGORY = 1
"""Id of persons in COCO's files."""


class Table(Protocol):
    """A file with all poses, which grows picture by picture."""

    def add(self, frame: Frame, persons: Sequence[dict]) -> None:
        """Write the persons of one picture or frame."""

    def close(self) -> None:
        """Finish the file."""


class CsvTable:
    """One row for each person: source, frame, time, box, and x, y, score of each keypoint.

    Args:
        file: The file to write.
        keypoint_names: The K names.
        tracked: Whether persons have a ``track_id``, which gets a column.
    """

    def __init__(self, file: Path, keypoint_names: Sequence[str], tracked: bool = False):
        self.identity = ['track_id'] if tracked else []
        self.file = open(file, 'w', newline='', encoding='utf-8')
        self.writer = csv.writer(self.file)
        columns = [f'{name}_{part}' for name in keypoint_names for part in ('x', 'y', 'score')]
        box = ('x1', 'y1', 'x2', 'y2', 'box_score')
        self.writer.writerow(['source', 'frame', 'time', 'person', *self.identity, *box, *columns])

    def add(self, frame: Frame, persons: Sequence[dict]) -> None:
        """Write the persons of one picture or frame."""
        for number, person in enumerate(persons):
            values = [*np.ravel(person['bbox']), person['bbox_score'], *triples(person).ravel()]
            place = [frame.name, frame.number, frame.time, number]
            place += [person[name] for name in self.identity]
            self.writer.writerow([*place, *(round(float(value), 4) for value in values)])
        self.file.flush()

    def close(self) -> None:
        """Finish the file."""
        self.file.close()


class CocoResults:
    """The results format of COCO: a list with image, keypoints and score of each person.

    Args:
        file: The file to write.
        image_id: Gives the number of a picture or frame.
    """

    def __init__(self, file: Path, image_id: Callable[[Frame], int]):
        self.json, self.image_id = GrowingJson(file), image_id

    def add(self, frame: Frame, persons: Sequence[dict]) -> None:
        """Write the persons of one picture or frame."""
        for person in persons:
            score = float(person['bbox_score']) * float(np.mean(person['keypoint_scores']))
            self.json.add(
                dict(
                    image_id=self.image_id(frame),
                    category_id=CATEGORY,
                    keypoints=triples(person).ravel().tolist(),
                    score=score,
                )
                | {name: person[name] for name in ('track_id',) if name in person}
            )

    def close(self) -> None:
        """Finish the file."""
        self.json.close('[', '\n]\n')


def triples(person: dict) -> np.ndarray:
    """Return x, y and score of each keypoint, (K, 3)."""
    return np.column_stack([person['keypoints'], person['keypoint_scores']])
