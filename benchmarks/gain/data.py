"""MPII-format persons: who trains, who chooses a branch, who is reported on."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmpose.datasets import MpiiDataset
from mmpose.registry import DATASETS
from scipy.io import loadmat, savemat
from torch.utils.data import get_worker_info

from okdhp_mm.errors import UserError

from .budgets import Budget

UPPER_NECK, HEAD_TOP = 8, 9
DIGEST = 'annotations_digest'  # its name in the settings
HEAD_SIZE_PER_DIAGONAL = 0.6  # MPII's SC_BIAS


@dataclass(frozen=True)
class Split:
    """Number of persons, their annotations, and the head boxes for their PCKh, if any."""

    persons: int
    annotations: str
    headboxes: str | None = None


@dataclass(frozen=True)
class Data:
    """The splits. Nothing is chosen by what ``test`` says."""

    images: str
    train: Split
    selection: Split
    test: Split


@dataclass(frozen=True)
class Chosen:
    """The training persons, dealt out: no picture is in two of these."""

    train: list[dict]
    selection: list[dict]
    unseen: list[dict]


def annotation_files(root: Path) -> tuple[Path, Path, Path]:
    """Return the persons to train on, those to report on, and the head boxes of these.

    Args:
        root: Data in MPII's layout.

    Raises:
        UserError: If a file of the layout is missing.
    """
    names = 'mpii_train.json', 'mpii_val.json', 'mpii_gt_val.mat'
    files = tuple(root / 'annotations' / name for name in names)
    for path in (*files, root / 'images'):
        if not path.exists():
            raise UserError(f'--data {root}: {path} does not exist; MPII layout is needed.')
    return files


def annotations_digest(root: Path) -> str:
    """Return a digest of the annotations of all persons.

    Raises:
        UserError: If a file of the layout is missing.
    """
    train, test, _ = annotation_files(root)
    code = hashlib.sha256(train.read_bytes())
    code.update(test.read_bytes())
    return code.hexdigest()[:16]


def prepare(root: Path, folder: Path, budget: Budget) -> Data:
    """Write the splits' annotations, always the same persons.

    Args:
        root: Data in MPII's layout.
        folder: Where to write.
        budget: How many persons of each.

    Raises:
        UserError: If a file of the layout is missing, or there are too few persons.
    """
    train_file, test_file, headboxes = annotation_files(root)
    persons = json.loads(train_file.read_text())
    chosen = choose(persons, budget.train_persons, budget.selection_persons)
    tested = json.loads(test_file.read_text())[: budget.test_persons]
    boxes = loadmat(headboxes)['headboxes_src'][..., : len(tested)]

    return Data(
        images=f'{(root / "images").resolve()}/',
        train=write(folder / 'train', chosen.train),
        selection=write(folder / 'selection', chosen.selection, head_boxes(chosen.selection)),
        test=write(folder / 'test', tested, boxes),
    )


def prepare_unseen(root: Path, folder: Path, train: int, selection: int) -> Split:
    """Write the annotations of the training persons that no run has seen in any way.

    Args:
        root: Data in MPII's layout.
        folder: Where to write.
        train: How many persons were trained on.
        selection: How many were kept apart to choose a branch by.

    Raises:
        UserError: If a file of the layout is missing, or it has no such persons.
    """
    persons = json.loads(annotation_files(root)[0].read_text())
    unseen = choose(persons, train, selection).unseen
    if not unseen:
        raise UserError(
            f'All persons of {root} were trained on or chosen by; a training with fewer '
            '--set train_persons=... leaves some unseen.'
        )
    return write(folder / 'unseen', unseen, head_boxes(unseen))


def choose(persons: list[dict], train: int, selection: int) -> Chosen:
    """Persons to train on, others to choose a branch by, and all others whose head is known.

    Raises:
        UserError: If no person is left to train on.
    """
    images = sorted({person['image'] for person in persons})
    random.Random(0).shuffle(images)
    rank = {image: index for index, image in enumerate(images)}
    shuffled = sorted(persons, key=lambda person: rank[person['image']])
    chosen, last = [], -1
    for person in shuffled:
        if len(chosen) == selection:
            break
        last = rank[person['image']]
        if has_head(person):
            chosen.append(person)
    rest = [person for person in shuffled if rank[person['image']] > last]
    trained = rest[:train]
    if not trained:
        raise UserError(
            f'{len(persons)} training persons are too few to keep {selection} of them apart; '
            '--set selection_persons=... changes that.'
        )
    last = rank[trained[-1]['image']]
    unseen = [p for p in rest if rank[p['image']] > last and has_head(p)]
    return Chosen(trained, chosen, unseen)


def has_head(person: dict) -> bool:
    """Return whether the size of a person's head is known."""
    return bool(person['joints_vis'][UPPER_NECK] and person['joints_vis'][HEAD_TOP])


def head_boxes(persons: list[dict]) -> np.ndarray:
    """Return the boxes of some persons, (2, 2, n)."""
    return np.dstack([*map(head_box, persons)])


def head_box(person: dict) -> np.ndarray:
    """Return a box (2, 2) whose diagonal is the way from the upper neck to the top of the head."""
    neck, top = np.array(person['joints'])[[UPPER_NECK, HEAD_TOP]]
    return np.array([[0, 0], [np.linalg.norm(top - neck) / HEAD_SIZE_PER_DIAGONAL, 0]])


def write(stem: Path, persons: list[dict], headboxes: np.ndarray | None = None) -> Split:
    """Write one split."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    annotations, boxes = stem.with_suffix('.json').resolve(), stem.with_suffix('.mat').resolve()
    annotations.write_text(json.dumps(persons))
    if headboxes is None:
        return Split(len(persons), str(annotations))
    savemat(boxes, dict(headboxes_src=headboxes))
    return Split(len(persons), str(annotations), str(boxes))


_images: dict[str, np.ndarray] = {}
_tape: dict[str, dict[tuple[int, int], dict]] = {}


@DATASETS.register_module()
class PairedMpii(MpiiDataset):
    """MPII as it is, with every sample augmented by a seed of its own.

    The augmentation depends on the run's seed, the epoch and the sample only: not on the model, the
    number of workers, or an interruption. Without workers, images are read once.

    Args:
        seed: The run's.
        augmentations: After so many epochs they repeat; 0 for never. Then they are kept in memory,
            for the next run with this seed, too.
    """

    def __init__(self, *args, seed: int, augmentations: int = 0, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.augmentations = augmentations
        # In shared memory, for workers that live longer than an epoch.
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.samples = {}
        if augmentations:
            tape = f'{seed} {self.ann_file} {kwargs["pipeline"]}'
            if tape not in _tape:
                _tape.clear()
            self.samples = _tape.setdefault(tape, {})

    def get_data_info(self, idx: int) -> dict:
        """Return the person, with its image if images are kept."""
        info = super().get_data_info(idx)
        if get_worker_info():  # every worker would keep all images
            return info
        path = info['img_path']
        if path not in _images:
            _images[path] = self.pipeline.transforms[0](dict(img_path=path))['img']
        info['img'] = _images[path]
        return info

    def prepare_data(self, idx: int) -> dict:
        """Return the sample of this epoch."""
        number = int(self.epoch)
        if not self.augmentations:
            return self.augmented(idx, number)
        key = number % self.augmentations, idx
        if key not in self.samples:
            self.samples[key] = self.augmented(idx, key[0])
        return self.samples[key]

    def augmented(self, idx: int, number: int) -> dict:
        """Return the sample with one of its augmentations."""
        np.random.seed([self.seed, number, idx])
        return super().prepare_data(idx)
