"""Damaged pictures and annotation files: loaded, refused in one sentence, or skipped by name."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS

from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.data.files import as_data_error, check_data
from okdhp_mm.data.pictures import CheckedLoad, decoding_fault
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.deploy.inference.engines import OnnxEngine
from okdhp_mm.deploy.inference.run import infer

from .processes import complaint, finish, fork
from .project import Project, make_project, training_config
from .rows import Row, row
from .training import import_all, train

RUNS = 1000
SUFFIXES = ('.jpg', '.png', '.bmp', '.webp', '.tiff', '.ppm', '.gif', '.jp2', '.exr', '.hdr')
TOGETHER = 50
"""Files that one process reads."""
COMPLETE = 25
ODD = (
    *(None, '', 'x', 'left \0', [], {}, [[]], [None], True, False),
    *(0, -1, 0.5, 1e9, -1e308, float('nan'), float('inf'), 10**30, 2**63, '9' * 5000),
)
"""Values in place of those in an annotation file."""


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Damage pictures and annotation files, and read them as trainings and the inference do."""
    import_all()
    (folder / 'project').mkdir()
    project = make_project(folder / 'project')
    yield row('damaged picture, training', of_pictures(project, runs, look_at_picture))
    yield row('damaged picture, infer.py', of_pictures(project, runs, infer_pictures))
    yield row('damaged annotation file, training', of_annotations(folder / 'annotations', runs))


def of_pictures(
    project: Project, runs: int, work: Callable[[Project, Sequence[Path]], None]
) -> Iterator[str | None]:
    """Damage pictures of many formats; give them to a function in a process of its own."""
    for start in range(0, runs, TOGETHER):
        folder = project.folder / 'damaged'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        numbers = range(start, min(start + TOGETHER, runs))
        files = [folder / f'{number}{SUFFIXES[number % len(SUFFIXES)]}' for number in numbers]
        log = project.folder / 'log'
        # In a process of its own, because OpenCV prints warnings about formats.
        finish(fork(lambda files=files: [damage_picture(file) for file in files], log))
        yield from in_process(log, partial(work, project), files)


def in_process(
    log: Path, work: Callable[[Sequence[Path]], None], files: Sequence[Path]
) -> Iterator[str | None]:
    """Call a function with files in another process; if it fails, with each of them alone."""
    log.unlink(missing_ok=True)
    fault = complaint(finish(fork(lambda: work(files), log)), log)
    if fault and len(files) > 1:
        for file in files:
            yield from in_process(log, work, [file])
    else:
        yield fault and f'{files[0].name}: {fault}'
        yield from [None] * (len(files) - 1)


def damage_picture(file: Path) -> None:
    """Write a picture of noise and a line, damaged; its number is the seed."""
    number, suffix = int(file.stem), file.suffix
    picture = np.random.default_rng(number).integers(0, 256, (80, 60, 3), np.uint8)
    cv2.line(picture, (0, 0), (59, 79), (255, 255, 255), 5)
    if suffix in ('.exr', '.hdr'):
        picture = (picture / 255).astype(np.float32)
    try:
        content = bytearray(cv2.imencode(suffix, picture)[1].tobytes())
    except cv2.error:  # a format that this OpenCV does not write
        content = bytearray(cv2.imencode('.jpg', picture)[1].tobytes())
    file.write_bytes(damaged(content, random.Random(number)))


def damaged(content: bytearray, generator: random.Random) -> bytes:
    """Return damaged bytes: cut, overwritten, or with a part inserted, repeated or left out."""
    for _ in range(generator.choice((1, 1, 2, 5))):
        size = len(content)
        # Half of the faults are in the header.
        place = generator.randrange(min(size, 64) if generator.random() < 0.5 else size)
        length = generator.choice((1, 2, 4, 16, 64))
        kind = generator.randrange(6)
        if kind == 0:
            del content[place:]
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = generator.randbytes(length)
        elif kind == 3:
            content[place : place + length] = bytes(length)
        elif kind == 4:
            content[place : place + length] = b'\xff' * length
        else:
            content[place] ^= 1 << generator.randrange(8)
        if not content:
            break
    return bytes(content)


def look_at_picture(project: Project, files: Sequence[Path]) -> None:
    """Check pictures as before a training, and load them as during one."""
    for file in files:
        before = decoding_fault(str(file))
        load = CheckedLoad(loader(), limit=1)
        loaded = load(dict(img_path=str(file)))
        if before is None and loaded is None:
            raise AssertionError(f'{file.name} passes the check, and cannot be loaded')
        if loaded is not None and loaded['img'].shape[-1:] != (3,):
            raise AssertionError(f'{file.name} has {loaded["img"].shape}')


def loader() -> Callable:
    """Return mmpose's transform that loads pictures."""
    from mmpose.datasets.transforms import LoadImage

    return LoadImage()


def infer_pictures(project: Project, files: Sequence[Path]) -> None:
    """Find the poses; every picture must be among the results or the skipped ones."""
    out = files[0].parent / 'out'
    shutil.rmtree(out, ignore_errors=True)
    listing = files[0].parent / 'pictures.txt'
    listing.write_text(''.join(f'{file}\n' for file in files))
    engine = OnnxEngine(project.student, 'student.onnx')
    with errors_in_one_sentence():
        done = infer(listing, engine, out)
        found = {file.stem for file in (out / 'predictions').glob('*.json')}
        skipped = {Path(name).stem for name in done.skipped}
        lost = {file.stem for file in files} - found - skipped
        if lost or found & skipped:
            raise AssertionError(f'lost {lost}, both {found & skipped}')


def of_annotations(folder: Path, runs: int, complete: int = COMPLETE) -> Iterator[str | None]:
    """Damage annotation files; check them and, if they pass, read and evaluate every person.

    Args:
        folder: Folder for all files, created.
        runs: Number of files.
        complete: Every so many runs, train and validate as ``train.py`` does, which takes longer;
            0 for never.
    """
    folder.mkdir(parents=True)
    for split in ('train', 'val'):
        write_coco(folder / 'data', split, 2, seed=0)
    for number in range(runs):
        log = folder / 'log'
        log.unlink(missing_ok=True)
        trains = complete > 0 and number % complete == 0
        work = partial(use_damaged, folder, number, trains)
        fault = complaint(finish(fork(work, log)), log)
        yield fault and f'annotations {number}: {fault}'


def use_damaged(folder: Path, number: int, trains: bool) -> None:
    """Damage the annotations of the training or of the validation, and use them."""
    generator = random.Random(number)
    data = folder / 'data'
    split = generator.choice(('train', 'val'))
    name = f'person_keypoints_{split}2017.json'
    content = (data / 'annotations' / name).read_text()
    file = folder / name
    file.write_bytes(damaged_annotations(content, generator))
    work_dir = folder / 'work'
    shutil.rmtree(work_dir, ignore_errors=True)
    changes = {f'{split}_dataloader.dataset.ann_file': str(file)}
    if split == 'val':
        changes['val_evaluator.metric.ann_file'] = str(file)
    cfg = training_config(work_dir, data, **changes)
    with errors_in_one_sentence():
        check_data(cfg, 'train', 'val')
        if trains:
            train(cfg, resume=False)
        else:
            with as_data_error(cfg, split):
                dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            persons = list(dataset)
            if split == 'val':
                evaluate_truth(persons, dataset.metainfo, str(file))


def evaluate_truth(persons: Sequence[dict], metainfo: dict, file: str) -> None:
    """Evaluate the annotations as predictions of themselves."""
    metric = METRICS.build(dict(type='CocoMetric', ann_file=file))
    metric.dataset_meta = metainfo
    for item in persons:
        sample = item['data_samples']
        truth = sample.gt_instances
        sample.pred_instances = InstanceData(
            keypoints=truth.keypoints, keypoint_scores=truth.keypoints_visible
        )
        metric.process({}, [sample.to_dict()])
    metric.evaluate(len(persons))


def damaged_annotations(content: str, generator: random.Random) -> bytes:
    """Return damaged text, or JSON with other values."""
    if generator.random() < 0.2:
        return damaged(bytearray(content.encode()), generator)
    root = json.loads(content)
    for _ in range(generator.choice((1, 1, 2))):
        places = list(places_of(root))
        owner, key = generator.choice(places)
        kind = generator.randrange(4)
        if kind == 0:
            del owner[key]
        elif kind == 1 and isinstance(owner, list):
            owner.insert(key, owner[key])
        else:
            owner[key] = generator.choice(ODD)
    return json.dumps(root).encode()


def places_of(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield owner and key of every value; of long lists of numbers, the first only."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from places_of(node[key])
        elif isinstance(node, list):
            return
