"""Table of the pseudo-labels of the training persons, which data loading reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...io.atomic import atomic_write

TABLE = 'training_persons.npz'
"""Name of its file in a work directory."""


class PseudoLabelTable:
    """Keypoints and scores of the training persons, from a file of :func:`write_table`.

    Args:
        file: The file.
    """

    def __init__(self, file: str | os.PathLike):
        with np.load(file) as content:
            self.points = content['points']
            paths, numbers = content['paths'].tolist(), content['numbers'].tolist()
        self.rows = {key: row for row, key in enumerate(zip(paths, numbers, strict=True))}

    def find(self, path: str, number: int) -> np.ndarray | None:
        """Return x, y and score of the keypoints of a person, (K, 3); None if it has none.

        Args:
            path: Path of the picture.
            number: Id of the person in its dataset.
        """
        row = self.rows.get((os.path.abspath(path), number))
        return None if row is None else self.points[row]


def write_table(
    file: Path, paths: Sequence[str], numbers: Sequence[int], points: np.ndarray
) -> None:
    """Write the keypoints of training persons.

    Args:
        file: The file to write.
        paths: Absolute path of the picture of every person.
        numbers: Id of every person in its dataset.
        points: x, y and score of every keypoint of every person, (N, K, 3).
    """
    with atomic_write(file) as temporary, open(temporary, 'wb') as opened:
        np.savez_compressed(
            opened,
            paths=np.array(paths, dtype=np.str_),
            numbers=np.array(numbers, dtype=np.int64),
            points=points.astype(np.float32),
        )
