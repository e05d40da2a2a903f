"""Data that a finished training was trained and validated on, to compare runs by."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ..data.check import leaf_datasets
from ..data.pseudo_labels.added_persons import ADDED
from ..data.pseudo_labels.table import TABLE
from ..data.unlabeled_persons import UNLABELED

OWN = {ADDED: 1, UNLABELED: 0}
"""Files that each training writes for itself, and how many folders below its work directory."""


def training_data(cfg: Config, folder: Path) -> str:
    """Return a text that is equal for trainings on the same persons and pseudo-labels.

    Files that a training wrote for itself count by their content, because each has its own.

    Args:
        cfg: Config of the training.
        folder: Its work directory now; it may have been moved.
    """
    loader = cfg.get('train_dataloader')
    content: list = [loader.dataset.get('sample_ratio_factor')] if loader else []
    for dataset, file in annotation_files(loader):
        chosen = dataset.get('indices') or 0
        own = OWN.get(file.name)
        content += [
            str(file) if own is None else digest(folder, file, own),
            chosen if isinstance(chosen, int) else len(chosen),
        ]
    table = folder / 'teacher' / TABLE
    if table.is_file():
        content.append(hashlib.sha256(table.read_bytes()).hexdigest())
    return json.dumps(content)


def digest(folder: Path, file: Path, depth: int) -> str:
    """Return the hash of a file that a training wrote, without the name of its work directory."""
    trained = file.parents[depth]
    now = folder / file.relative_to(trained)
    text = now.read_text(encoding='utf-8') if now.is_file() else ''
    return hashlib.sha256(text.replace(str(trained), '').encode()).hexdigest()


def validation_data(cfg: Config) -> list[list]:
    """Return the annotation files of the validation, and the settings that choose its samples."""
    return [
        [str(file), *(dataset.get(key) for key in ('indices', 'bbox_file', 'filter_cfg'))]
        for dataset, file in annotation_files(cfg.get('val_dataloader'))
    ]


def annotation_files(loader: ConfigDict | None) -> Iterator[tuple[ConfigDict, Path]]:
    """Yield the datasets of a data loader with the absolute paths of their annotations."""
    for dataset, _ in leaf_datasets(loader.dataset) if loader else ():
        path = os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
        yield dataset, Path(os.path.realpath(path))
