"""Accuracy over the number of labeled pictures, for several methods, in pairs. Resumable.

    python benchmarks/label_efficiency.py my_okdhp.py --labels 25 100 400 --out work_dirs/labels \
        --arms alone okdhp mean_teacher pose_dual okdhp_unlabeled --seeds 0 1 2 --steps 2000
    python benchmarks/label_efficiency.py --out work_dirs/labels --report

CONFIG is a training config with branches. For each number and seed, so many of its training
pictures keep their labels. Methods for unlabeled pictures use the other training pictures, or those
of --unlabeled. An arm is 'alone', a method's name or file, or 'temporal_' with the name of a method
for unlabeled pictures, which temporal.py changes; annotations then need `track_id`. With `_taught`
behind it, the other training pictures join, labeled by --teacher: half of the persons of a step
have such labels. All arms take the same number of steps, with as many labeled persons per step. The
figure is that of the deployed branch on the validation data after the last step: nothing is
selected on them. Each run is a user's `python -m okdhp_mm train`, and its student is exported to
RUN/student with a model card.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import okdhp_mm  # noqa: F401  (registers)  # isort: skip
from matplotlib.figure import Figure
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import find_latest_checkpoint
from mmpose.registry import DATASETS

from okdhp_mm import compare
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.compare.plan import PlannedRun, with_seed
from okdhp_mm.compare.report import HEAD, cells_of, rows_of
from okdhp_mm.compare.runs import Run, read_run
from okdhp_mm.data.pseudo_labels.persons import persons_of as training_persons
from okdhp_mm.deploy.inference.foreign.build import FORMS
from okdhp_mm.deploy.inference.unlabeled import read_unlabeled
from okdhp_mm.errors import UserError
from okdhp_mm.io.atomic import write_text
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.io.config import read_config
from okdhp_mm.recipes.alone import ALONE, alone_config
from okdhp_mm.recipes.labeler import Labeler
from okdhp_mm.recipes.methods import apply_method_to_config
from okdhp_mm.recipes.pseudo_labels import use_pseudo_labels
from okdhp_mm.recipes.unlabeled import learn_from
from okdhp_mm.student.config import dataset_meta
from okdhp_mm.student.export import export_student
from okdhp_mm.student.load import names_and_skeleton

from temporal import teach_over_time  # isort: skip

TEMPORAL, TAUGHT = 'temporal_', '_taught'
ARMS = ('alone', 'okdhp', 'okdhp_color_aug', 'mean_teacher', 'pose_dual', 'okdhp_unlabeled')
WARM_UP = 0.05
FOLDER = str(Path(__file__).parent)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', help='training config with branches')
    parser.add_argument('--labels', nargs='+', type=int, default=[25, 100, 400])
    parser.add_argument('--arms', nargs='+', default=ARMS)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--steps', type=int, default=2000, help='of every run (default: 2000)')
    parser.add_argument(
        '--unlabeled',
        type=Path,
        metavar='DIR|VIDEO|ANNOTATIONS.json',
        help='pictures without labels, as for `train` (default: the rest of the training data)',
    )
    parser.add_argument(
        '--teacher', nargs='+', metavar='FILE', help=f'model of the arms {TAUGHT}: {FORMS}'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of all runs')
    parser.add_argument('--report', action='store_true', help='train nothing, print the table')
    return parser.parse_args()


@dataclass(frozen=True)
class Division:
    """Training persons with and without labels.

    Attributes:
        labeled: Indices of the labeled persons in the training data.
        unlabeled: File with the boxes of the others, in COCO's layout.
        pictures: Folder of their pictures.
        taught: File of a teacher's labels, and folder for those of the others; None without one.
    """

    labeled: list[int]
    unlabeled: Path
    pictures: Path
    taught: tuple[Path, Path] | None = None


def persons_of(dataset: ConfigDict) -> list[dict]:
    """Return the persons of a training set, of any class of mmpose."""
    built = DATASETS.build(dict(dataset, pipeline=[]))
    return [built.get_data_info(index) for index in range(len(built))]


def divide(
    persons: list[dict],
    labels: int,
    seed: int,
    folder: Path,
    given: tuple[Path, Path] | None = None,
) -> Division:
    """Draw the pictures that keep their labels, and write the persons in the others.

    Args:
        persons: See :func:`persons_of`.
        labels: Number of the pictures.
        seed: Seed of the draw.
        folder: Folder for the file of the others.
        given: File and folder of other unlabeled pictures. Then no file is written.

    Raises:
        UserError: If there are not so many pictures.
    """
    pictures = sorted({person['img_path'] for person in persons})
    numbers = {picture: i for i, picture in enumerate(pictures)}
    if labels > len(pictures) or (labels == len(pictures) and not given):
        bound = 'at most' if given else 'below'
        raise UserError(
            f'--labels {labels} must be {bound} the {len(pictures)} pictures of the training data.'
        )
    kept = set(random.Random(seed).sample(pictures, labels))
    labeled = [i for i, person in enumerate(persons) if person['img_path'] in kept]
    if given:
        return Division(labeled, *given)
    left = [
        dict(
            id=i,
            image_id=numbers[person['img_path']],
            bbox=corner_and_size(person['bbox'][0]),
            category_id=1,
            track_id=person.get('raw_ann_info', {}).get('track_id'),
        )
        for i, person in enumerate(persons)
        if person['img_path'] not in kept
    ]
    content = dict(
        images=[
            dict(id=number, file_name=str(Path(picture).resolve()))
            for picture, number in numbers.items()
            if picture not in kept
        ],
        annotations=left,
        categories=[dict(id=1, name='unlabeled')],
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file := folder / f'{labels}_{seed}_unlabeled.json', json.dumps(content))
    return Division(labeled, file, folder)


def corner_and_size(box: np.ndarray) -> list[float]:
    """Return a box (x1, y1, x2, y2) as COCO's (x, y, width, height)."""
    return [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]


def config_of(cfg: Config, arm: str, args: argparse.Namespace, part: Division) -> Config:
    """Return the training config of an arm."""
    method = arm.removeprefix(TEMPORAL).removesuffix(TAUGHT)
    if method == ALONE:
        own = alone_config(cfg, args.config)
    else:
        own = copy.deepcopy(cfg)
        apply_method_to_config(own, method)
    own.train_dataloader.dataset.indices = part.labeled
    per_epoch = math.ceil(len(part.labeled) / own.train_dataloader.batch_size)
    epochs = math.ceil(args.steps / per_epoch)
    own.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    if own.model.get('unlabeled'):
        learn_from(own, part.unlabeled, part.pictures)
    if arm.startswith(TEMPORAL):
        teach_over_time(own)
    if arm.endswith(TAUGHT):
        join(own, arm, part)
    own.train_cfg = dict(by_epoch=True, max_epochs=epochs, val_begin=epochs, val_interval=epochs)
    steps = epochs * per_epoch
    warm_up = max(1, round(WARM_UP * steps))
    own.param_scheduler = [
        dict(type='LinearLR', by_epoch=False, end=warm_up, start_factor=0.01),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, T_max=steps - warm_up),
    ]
    # `save_best` names the metric to report; there is one validation to choose from.
    named = {key: own.default_hooks.checkpoint.get(key) for key in ('save_best', 'rule')}
    own.default_hooks.checkpoint = dict(type='CheckpointHook', interval=epochs, **named)
    own.log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
    return own


def join(cfg: Config, arm: str, part: Division) -> None:
    """Let the persons that a teacher labeled join a training, in place.

    Raises:
        UserError: Without a teacher, or if the method learns from unlabeled pictures.
    """
    if part.taught is None:
        raise UserError(f'The arm {arm} needs a teacher. Name one by --teacher.')
    if cfg.model.get('unlabeled'):
        raise UserError(f'The arm {arm} uses the other pictures twice. Leave out {TAUGHT}.')
    names, _ = names_and_skeleton(dataset_meta(cfg, {}))
    labels, folder = part.taught
    use_pseudo_labels(cfg, labels, names, {}, folder, training_persons=False)
    cfg.train_dataloader.batch_size *= 2


def train_all(args: argparse.Namespace) -> list[PlannedRun]:
    """Train every run that is not finished, seed by seed, so that pairs are complete early."""
    cfg = read_config(args.config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    use_safe_loader()
    # For the trainings, which import temporal.py by its name.
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, (FOLDER, os.getenv('PYTHONPATH'))))
    dataset = cfg.train_dataloader.dataset
    persons = persons_of(dataset)
    data, planned = args.out.resolve() / 'data', []
    given = read_unlabeled(args.unlabeled, None, data) if args.unlabeled else None
    taught = None
    if args.teacher:
        names, _ = names_and_skeleton(dataset_meta(cfg, {}))
        taught = Labeler(args.teacher, names, {}, data / 'teacher').label(training_persons(dataset))
    for seed in args.seeds:
        for labels in args.labels:
            part = divide(persons, labels, seed, data, given)
            if taught:
                part = replace(part, taught=(taught, data / f'{labels}_{seed}_taught'))
            for arm in args.arms:
                own = with_seed(config_of(cfg, arm, args, part), seed)
                folder = args.out / str(labels) / Path(arm).stem / f'seed{seed}'
                planned.append(PlannedRun(Path(arm).stem, seed, folder, own))
    compare.train_all(planned, [sys.executable, '-m', 'okdhp_mm', 'train', '--no-report'])
    return planned


def write_students(planned: Sequence[PlannedRun]) -> None:
    """Export the deployed students of finished runs, if that was not done before."""
    for run in planned:
        # A student of the experiment with time cannot be exported.
        if (folder := run.folder / 'student').is_dir() or run.method.startswith(TEMPORAL):
            continue
        best = sorted(run.folder.glob('best_*.pth'))
        if checkpoint := str(best[0]) if best else find_latest_checkpoint(run.folder):
            export_student(read_config(run.folder / run.file.name), checkpoint, folder)
        else:
            print(f'{run.folder} has no checkpoint, so its student is not written.')


def found(out: Path) -> dict[int, dict[str, dict[int, Run]]]:
    """Return the finished runs by number of labels, arm and seed."""
    runs: dict[int, dict[str, dict[int, Run]]] = {}
    for folder in sorted(out.glob('[0-9]*/*/seed*/')):
        labels, arm = int(folder.parts[-3]), folder.parts[-2]
        try:
            run = read_run(folder, arm)
        except UserError:
            continue  # not finished
        runs.setdefault(labels, {}).setdefault(arm, {})[run.seed] = run
    return dict(sorted(runs.items()))


def report(out: Path) -> str:
    """Write the figure, and return the table of all finished runs."""
    runs = found(out)
    if not runs:
        raise UserError(f'{out} holds no finished run.')
    lines = [('labels', *HEAD), ('---',) * (len(HEAD) + 1)]
    for labels, arms in runs.items():
        rows = rows_of([run for seeds in arms.values() for run in seeds.values()])
        lines += [(str(labels), *cells) for cells in cells_of(rows)]
    figure_of(runs).savefig(out / 'label_efficiency.png')
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def figure_of(runs: dict[int, dict[str, dict[int, Run]]]) -> Figure:
    """Draw a line for each arm over the number of labels, and a point for each run."""
    figure = Figure(figsize=(6, 4), layout='constrained', dpi=120)
    axes = figure.subplots()
    found = [
        (labels, arm, run)
        for labels, arms in runs.items()
        for arm, seeds in arms.items()
        for run in seeds.values()
    ]
    for i, arm in enumerate(dict.fromkeys(arm for _, arm, _ in found)):
        points = [(labels, run.deployed) for labels, name, run in found if name == arm]
        values = defaultdict(list)
        for labels, value in points:
            values[labels].append(value)
        axes.plot(*zip(*points, strict=True), 'o', color=f'C{i}', alpha=0.4, markersize=4)
        axes.plot(
            list(values), list(map(statistics.mean, values.values())), color=f'C{i}', label=arm
        )
    axes.set_xscale('log')
    axes.set_xticks(list(runs), list(map(str, runs)))
    axes.minorticks_off()
    axes.set_xlabel('labeled pictures')
    axes.set_ylabel(found[0][2].metric)
    axes.legend(fontsize=8)
    return figure


def main() -> None:
    """Parse, train what is missing, and report."""
    args = parse_args()
    with errors_in_one_sentence():
        planned = []
        if not args.report:
            if args.config is None:
                raise UserError('CONFIG is missing: name a training config with branches.')
            planned = train_all(args)
        print(report(args.out))
        write_students(planned)


if __name__ == '__main__':
    main()
