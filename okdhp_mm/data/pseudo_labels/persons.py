"""Find the training persons that pseudo-labels belong to."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmpose.registry import DATASETS
from mmpose.structures.bbox import bbox_overlaps

from ..check import leaf_datasets
from .files import PseudoPerson

SAME = 0.5
"""Boxes that share less (intersection over union) are not of one person."""


@dataclass(frozen=True)
class TrainingPerson:
    """A person of a dataset.

    Attributes:
        path: Absolute path of the picture.
        number: Id of the person in its dataset.
        box: x1, y1, x2, y2.
    """

    path: str
    number: int
    box: np.ndarray


def persons_of(dataset: ConfigDict) -> list[TrainingPerson]:
    """Return the persons of a dataset, and of all datasets that a wrapper contains.

    Args:
        dataset: Config of the dataset.
    """
    persons = []
    for leaf, _ in leaf_datasets(dataset):
        built = DATASETS.build(dict(leaf) | dict(pipeline=[]))
        for index in range(len(built)):
            info = built.get_data_info(index)
            path = os.path.abspath(info['img_path'])
            persons.append(TrainingPerson(path, int(info['id']), np.ravel(info['bbox'])[:4]))
    return persons


def match_persons(
    persons: Iterable[TrainingPerson], pseudo: Iterable[PseudoPerson]
) -> tuple[list[tuple[TrainingPerson, PseudoPerson]], list[PseudoPerson]]:
    """Match persons with pseudo-labels to training persons in the same picture, by their boxes.

    If a picture has one of each, they are the same person: a picture without a detector has one
    box, which is the whole picture.

    Returns:
        The pairs, and the persons with pseudo-labels in pictures without a training person.
    """
    ours: dict[str, list[TrainingPerson]] = defaultdict(list)
    theirs: dict[str, list[PseudoPerson]] = defaultdict(list)
    for person in persons:
        ours[person.path].append(person)
    for found in pseudo:
        theirs[found.path].append(found)
    pairs, others = [], []
    for path, candidates in theirs.items():
        if path not in ours:
            others += candidates
        elif len(candidates) == len(ours[path]) == 1:
            pairs.append((ours[path][0], candidates[0]))
        else:
            pairs += match_boxes(ours[path], candidates)
    return pairs, others


def match_boxes(
    persons: Sequence[TrainingPerson], pseudo: Sequence[PseudoPerson]
) -> list[tuple[TrainingPerson, PseudoPerson]]:
    """Return the pairs whose boxes share most, each person at most once."""
    boxes = [np.stack([person.box for person in group]) for group in (persons, pseudo)]
    shares = bbox_overlaps(*(torch.from_numpy(own).double() for own in boxes)).numpy()
    pairs = []
    while shares.size and shares.max() >= SAME:
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        pairs.append((persons[row], pseudo[column]))
        shares[row], shares[:, column] = 0, 0
    return pairs
