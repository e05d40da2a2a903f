"""A model that labels the persons of a training once."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.keypoint_mapping import map_keypoints
from ..data.pseudo_labels.files import LABELS
from ..data.pseudo_labels.persons import TrainingPerson
from ..errors import UserError
from ..io.data_files import read_json

if TYPE_CHECKING:
    from ..deploy.inference.engines import Engine


class Labeler:
    """A model that labels persons of known boxes once, in ``FOLDER/pseudo_labels.json``.

    Labels of an earlier run are used again if model, adapter and persons are the same. The model is
    opened only if it has to label.

    Args:
        files: See :func:`~okdhp_mm.deploy.inference.foreign.build.build_engine`.
        names: Names of the student's keypoints.
        renamed: See :func:`~okdhp_mm.data.keypoint_mapping.map_keypoints`.
        folder: Where to write the labels.
        launcher: What starts the processes of the training.
    """

    def __init__(
        self,
        files: Sequence[str],
        names: Sequence[str],
        renamed: Mapping[str, str | None],
        folder: Path,
        launcher: str = 'none',
    ):
        self.files, self.names, self.renamed = files, names, renamed
        self.folder, self.launcher = folder, launcher

    @cached_property
    def engine(self) -> Engine:
        """Return the model.

        Raises:
            UserError: If it does not run, has other keypoints, or several processes would label.
        """
        # mmpose's inferencers take seconds to import, and few trainings need them.
        from ..deploy.inference.foreign.build import build_engine

        if self.launcher != 'none':
            raise UserError(
                f'--teacher {self.files[0]} labels pictures first, which takes one process. Label '
                'them by `python -m okdhp_mm pseudo-label`, and give the file to --teacher, '
                'without --unlabeled.'
            )
        engine = build_engine(self.files)
        map_keypoints(self.names, engine.keypoint_names, self.renamed, self.files[0])
        return engine

    def check(self) -> None:
        """Check that the model can label, if there are no labels of an earlier run.

        Raises:
            UserError: See :attr:`engine`.
        """
        if not (self.folder / LABELS).is_file():
            _ = self.engine

    def label(self, persons: Sequence[TrainingPerson]) -> Path:
        """Label persons; return the file.

        Raises:
            UserError: See :attr:`engine`.
        """
        from ..deploy.inference.pseudo_labels import pseudo_label
        from ..deploy.inference.sources import Pictures

        fingerprint = fingerprint_of(self.files, persons)
        file = self.folder / LABELS
        if file.is_file() and read_json(file)['info'].get('fingerprint') == fingerprint:
            return file
        paths = list(dict.fromkeys(person.path for person in persons))
        base = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
        boxes: dict[str, list[list[float]]] = defaultdict(list)
        for person in persons:
            boxes[Path(person.path).relative_to(base).as_posix()].append(person.box.tolist())
        source, info = Pictures(list(map(Path, paths)), base), dict(fingerprint=fingerprint)
        return pseudo_label(source, self.engine, self.folder, boxes, info=info).file


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
