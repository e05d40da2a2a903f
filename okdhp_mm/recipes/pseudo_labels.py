"""Let a training learn from pseudo-labels: of its own persons, and of persons in other pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmpose.registry import TRANSFORMS

from ..data.check import nested_datasets
from ..data.keypoint_mapping import map_keypoints
from ..data.pseudo_labels.added_persons import ADDED, with_persons, without_added_persons
from ..data.pseudo_labels.files import PseudoPerson, read_pseudo_labels
from ..data.pseudo_labels.persons import TrainingPerson, match_persons, persons_of
from ..data.pseudo_labels.table import write_table
from ..data.pseudo_labels.transform import MOVING, without_pseudo_labels
from ..data.readers.coco_content import VISIBLE, CocoContent
from ..data.unlabeled import copies_of, folders_of
from ..errors import UserError
from ..io.atomic import write_text
from ..io.data_files import read_json

if TYPE_CHECKING:
    from ..deploy.inference.engines import Engine

TARGETS = 'GenerateTarget'
WRAPPER = 'WithPseudoLabels'


def label_persons(
    persons: Sequence[TrainingPerson],
    files: Sequence[str],
    engine: Engine,
    folder: Path,
    launcher: str = 'none',
) -> Path:
    """Label persons of known boxes with a model; return the file.

    A file of an earlier run is used again if model, adapter and persons are the same.

    Args:
        persons: The persons.
        files: Files of the model, which tell it from others.
        engine: The model.
        folder: Where to write it.
        launcher: What starts the processes of the training.

    Raises:
        UserError: If several processes would label at once.
    """
    # mmpose's inferencers take seconds to import, and few trainings need them.
    from ..deploy.inference.pseudo_labels import LABELS, pseudo_label
    from ..deploy.inference.sources import Pictures

    fingerprint = fingerprint_of(files, persons)
    file = folder / LABELS
    if file.is_file() and read_json(file)['info'].get('fingerprint') == fingerprint:
        return file
    if launcher != 'none':
        raise UserError(
            f'--teacher {files[0]} labels pictures first, which takes one process. Label them by '
            '`python -m okdhp_mm pseudo-label`, and give the file to --teacher.'
        )
    paths = list(dict.fromkeys(person.path for person in persons))
    base = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    for person in persons:
        boxes[Path(person.path).relative_to(base).as_posix()].append(person.box.tolist())
    source = Pictures(list(map(Path, paths)), base)
    return pseudo_label(source, engine, folder, boxes, info=dict(fingerprint=fingerprint)).file


def fingerprint_of(files: Sequence[str], persons: Sequence[TrainingPerson]) -> str:
    """Return a text that changes with the model, its adapter, and the persons."""
    content = hashlib.sha256()
    paths = [Path(file).expanduser() for file in files]
    # A student is a folder.
    inside = [file for path in paths if path.is_dir() for file in sorted(path.iterdir())]
    for path in (*paths, *inside, *(path.with_suffix('.json') for path in paths[:1])):
        content.update(path.read_bytes() if path.is_file() else b'')
    for person in persons:
        content.update(f'{person.path} {person.number} {person.box.tolist()}'.encode())
    return content.hexdigest()


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
        outside = f'the {"" if training_persons else "training and the "}validation data'
        raise UserError(
            f'{file} has {len(labels.persons)} persons, but none is {place} a picture outside of '
            f'{outside} ({reserved} left out). Label other pictures.'
        )
    folder.mkdir(parents=True, exist_ok=True)
    taught = sum(index is not None for index in indices)
    told = [f'{taught} of {len(names)} keypoints']
    if pairs:
        told.append(f'{len(pairs)} of {len(training)} training persons have pseudo-labels')
        table = (folder / 'training_persons.npz').resolve()
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
