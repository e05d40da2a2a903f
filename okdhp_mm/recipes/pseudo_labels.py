"""Let a training learn from pseudo-labels: of its own persons, and of persons in other pictures."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmpose.registry import TRANSFORMS

from ..data.check import nested_datasets
from ..data.keypoint_mapping import map_keypoints
from ..data.pseudo_labels.added_persons import ADDED, with_persons, without_added_persons
from ..data.pseudo_labels.files import PseudoPerson, read_pseudo_labels
from ..data.pseudo_labels.persons import match_persons, persons_of
from ..data.pseudo_labels.table import TABLE, write_table
from ..data.pseudo_labels.transform import MOVING, without_pseudo_labels
from ..data.readers.coco_content import VISIBLE, CocoContent
from ..data.unlabeled import copies_of, folders_of
from ..errors import UserError
from ..io.atomic import write_text

TARGETS = 'GenerateTarget'
WRAPPER = 'WithPseudoLabels'


def use_pseudo_labels(
    cfg: Config,
    file: Path,
    names: Sequence[str],
    renamed: Mapping[str, str | None],
    folder: Path,
    training_persons: bool = True,
    ratio: float = 1.0,
) -> tuple[bool, str]:
    """Add pseudo-labels to the training data of a config, in place.

    Pseudo-labels of a training person move with its labels through the data pipeline. Persons in
    pictures without a training person become training persons. Pictures of the validation and the
    test data are left out.

    Args:
        cfg: Training config.
        file: File of the pseudo-labels.
        names: Names of the student's keypoints.
        renamed: See :func:`~okdhp_mm.data.keypoint_mapping.map_keypoints`.
        folder: Where to write the files that the config then names.
        training_persons: Whether to use those of training persons, which only branches can.
        ratio: Persons of other pictures in an epoch for each training person, at most.

    Returns:
        Whether training persons have pseudo-labels, and a sentence about them.

    Raises:
        UserError: If the file or the training data cannot be used, or no person is left.
    """
    # A config that was written by an earlier training has its labels.
    dataset = without_added_persons(without_pseudo_labels(cfg.train_dataloader.dataset))
    cfg.train_dataloader.dataset = dataset
    labels = read_pseudo_labels(file, folders_of(dataset))
    indices = map_keypoints(names, labels.keypoints, renamed, str(file))
    found = [person for person in labels.persons if select(person.points, indices)[:, 2].any()]
    if labels.persons and not found:
        raise UserError(
            f'{file} has {len(labels.persons)} persons, but none with a keypoint whose score is '
            'high enough to learn from. Use another model, or label with a lower --threshold of '
            '`python -m okdhp_mm pseudo-label`.'
        )
    training = persons_of(dataset)
    pairs, others = match_persons(training, found)
    pairs = pairs if training_persons else []
    others, reserved = leave_out_pictures(cfg, others, {person.path for person in training})
    if not pairs and not others:
        place = 'a training person or in' if training_persons else 'in'
        raise UserError(
            f'{file} has {len(labels.persons)} persons, but none is {place} a picture that differs '
            f'from those of the training, validation and test data ({reserved} left out). Label '
            'other pictures.'
        )
    folder.mkdir(parents=True, exist_ok=True)
    taught = sum(index is not None for index in indices)
    told = [f'{taught} of {len(names)} keypoints']
    if pairs:
        told.append(f'{len(pairs)} of {len(training)} training persons have pseudo-labels')
        table = (folder / TABLE).resolve()
        points = np.stack([select(other.points, indices) for _, other in pairs])
        paths, numbers = zip(*((own.path, own.number) for own, _ in pairs), strict=True)
        write_table(table, paths, numbers, points)
        wrap_pipelines(dataset, table)
    if others:
        added = (folder / ADDED).resolve()
        write_text(added, json.dumps(coco_content(others, indices, names)))
        share = min(1.0, ratio * len(training) / len(others))
        cfg.train_dataloader.dataset = with_persons(dataset, added, share)
        told.append(
            f'{len(others)} persons in other pictures join the training, of which each epoch takes '
            f'{round(share * len(others))}'
        )
    if unsure := len(labels.persons) - len(found):
        told.append(f'{unsure} persons without a sure keypoint are left out')
    if reserved:
        told.append(
            f'{reserved} persons are left out, in pictures of the validation or test data, or in '
            'copies of these or of labeled pictures'
        )
    return bool(pairs), '; '.join(told)


def leave_out_pictures(
    cfg: Config, persons: Sequence[PseudoPerson], training: Iterable[str]
) -> tuple[list[PseudoPerson], int]:
    """Leave out persons in pictures of an evaluation, and in copies of these or training pictures.

    Args:
        cfg: Training config.
        persons: Persons with pseudo-labels, in pictures without a training person.
        training: Paths of the training pictures.

    Returns:
        The persons that are left, and the number of the others.
    """
    loaders = [cfg.get(f'{split}_dataloader') for split in ('val', 'test')] if persons else []
    reserved = {own.path for loader in loaders if loader for own in persons_of(loader.dataset)}
    pictures = {person.path for person in persons} - reserved
    reserved.update(copies_of(pictures, reserved.union(training)))
    kept = [person for person in persons if person.path not in reserved]
    return kept, len(persons) - len(kept)


def select(points: np.ndarray, indices: Sequence[int | None]) -> np.ndarray:
    """Return x, y and score of the student's keypoints, (K, 3), 0 for those not taught."""
    return np.array([np.zeros(3) if index is None else points[index] for index in indices])


def coco_content(
    persons: Sequence[PseudoPerson], indices: Sequence[int | None], names: Sequence[str]
) -> dict:
    """Return persons with the student's keypoints as the content of a COCO JSON."""
    coco = CocoContent('person', names)
    pictures: dict[str, list[PseudoPerson]] = defaultdict(list)
    for person in persons:
        pictures[person.path].append(person)
    for path, found in pictures.items():
        coco.add_image(path, *found[0].size)
        for person in found:
            points = zip(names, select(person.points, indices).tolist(), strict=True)
            labels = {name: (x, y, VISIBLE) for name, (x, y, score) in points if score > 0}
            x1, y1, x2, y2 = person.box.tolist()
            coco.add_instance(labels, [x1, y1, x2 - x1, y2 - y1])
    return coco.content


def wrap_pipelines(dataset: ConfigDict, table: Path) -> None:
    """Let every pipeline that encodes keypoints do so for pseudo-labels too, in place.

    Raises:
        UserError: If there is none.
    """
    found = [
        own
        for own in nested_datasets(dataset)
        if TARGETS in map(type_of, own.get('pipeline') or ())
    ]
    if not found:
        raise UserError(
            f'train_dataloader.dataset has no pipeline with {TARGETS}, which encodes the '
            'pseudo-labels. Use the top-down pipeline of a stock config.'
        )
    for own in found:
        steps = list(own.pipeline)
        moving = [at for at, step in enumerate(steps) if moves(step) or type_of(step) == TARGETS]
        inner = steps[moving[0] :]
        own.pipeline = [*steps[: moving[0]], dict(type=WRAPPER, file=str(table), transforms=inner)]


def type_of(step: Any) -> Any:
    """Return the type of a transform's config."""
    return step.get('type') if isinstance(step, dict) else None


def moves(step: Any) -> bool:
    """Return whether a transform moves keypoints."""
    kind = type_of(step)
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, MOVING)
