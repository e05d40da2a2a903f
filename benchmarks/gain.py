"""Measure the gain of students by distillation: students x methods x seeds, in pairs, resumable.

    python benchmarks/gain.py --data data/mpii --out work_dirs/gain --budget cpu --seeds 0 1 2
    python benchmarks/gain.py --data data/mpii --out work_dirs/gain --minutes 60   # goes on
    python benchmarks/gain.py --out work_dirs/gain --report                        # what is there
    python benchmarks/gain.py --data data/mpii --out work_dirs/gain --report --unseen  # see --help

Every run is a user's training: a config of configs/okdhp, a method, mmengine's runner. Runs of one
seed start from the same weights and see the same augmented persons in the same order, which is
checked. All scores are of persons that no setting was chosen on. An arm is 'alone' (the stock
network), 'alone_same_cost' (for as long as the branches take), a file of configs/_base_/methods by
name, or any such file by its path.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)  # isort: skip
from gain.arms import (
    ALONE,
    ALONE_SAME_COST,
    TEACHER,
    Run,
    all_arms,
    branches_config,
    check_arm,
    check_fit,
    check_size,
    needs_teacher,
    training_config,
)
from gain.budgets import BUDGETS, Budget, override
from gain.cost import cost_ratio
from gain.data import DIGEST, Data, annotations_digest, prepare, prepare_unseen
from gain.metric import PckhCurve  # noqa: F401  (registers)
from gain.pairing import check_pairs
from gain.report import write_report
from gain.unseen import evaluate_unseen

from gain.training import CONFIG, RESULT, WEIGHTS, finished, taught_by, train  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.recipes.pretrained import find_pretrained, write_pretrained

DEFAULT_METHOD = 'okdhp'
SETTINGS = 'settings.json'


def parse_args() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, help="folder in MPII's layout")
    parser.add_argument('--out', type=Path, required=True, help='where all is kept')
    parser.add_argument('--budget', choices=BUDGETS, default='cpu')
    parser.add_argument('--students', nargs='+', default=['resnet18'])
    parser.add_argument('--arms', nargs='+', help='default: all that fit the student')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--pretrained',
        metavar='FILE|torchvision|timm',
        help='initial weights of the backbone, the same in every arm; the network that teaches in '
        'the offline methods starts from scratch',
    )
    parser.add_argument('--lr', type=float, help="of every arm, instead of the budget's")
    parser.add_argument(
        '--set', nargs='+', default=[], metavar='KEY=VALUE', help='e.g. epochs=20 input_size=80'
    )
    parser.add_argument('--minutes', type=float, default=1e9, help='stop after so long, in order')
    parser.add_argument('--report', action='store_true', help='train nothing, report what is there')
    parser.add_argument(
        '--unseen',
        action='store_true',
        help='report, in place of the test persons, all training persons that no run has seen',
    )
    return parser.parse_args()


def main() -> None:
    """Parse, train what there is time for, and report."""
    args = parse_args()
    deadline = time.monotonic() + 60 * args.minutes
    matplotlib.use('Agg')
    with errors_in_one_sentence():
        if args.data is None and (args.unseen or not args.report):
            raise UserError(
                '--data is missing: a folder with annotations/mpii_train.json and images/.'
            )
        init_default_scope('mmpose')
        use_safe_loader()
        # Each run logs to a file of its own; this is where models are built for other ends.
        MMLogger.get_instance('gain').setLevel('ERROR')
        if not args.report:
            train_all(args, deadline)
        results = found(args.out)
        if not results:
            raise UserError(f'{args.out} holds no finished run.')
        check_pairs(results)
        settings, stem = read_settings(args.out), args.out / 'gain'
        if args.unseen:
            results = on_unseen(results, settings, args.data, args.out)
            stem = args.out / 'gain_unseen'
        print(write_report(results, settings, stem))


def train_all(args: argparse.Namespace, deadline: float) -> None:
    """Every run that there is time for, seed by seed, so that pairs are complete early.

    Raises:
        UserError: If the folder was made with other settings, something does not exist, or a
            student does not fit the input size.
    """
    settings = [*args.set, *([] if args.lr is None else [f'lr={args.lr}'])]
    budget = override(BUDGETS[args.budget], settings)
    if unknown := sorted(set(args.students) - budget.students.keys()):
        raise UserError(
            f'The students {unknown} do not exist. Use some of {sorted(budget.students)}.'
        )
    for arm in args.arms or []:
        check_arm(arm)
    for student in args.students:
        check_size(budget.students[student], budget)
    if args.pretrained:
        budget = replace(budget, pretrained=write_weights(args, budget))
    keep_settings(args.out, budget, args.data)
    data = prepare(args.data, args.out / 'data', budget)
    arms = {student: args.arms or fitting_arms(student, budget, data) for student in args.students}
    for seed in args.seeds:
        for student in args.students:
            for arm in arms[student]:
                if time.monotonic() > deadline:
                    print('The time is over. The same command goes on.', flush=True)
                    return
                train_one(Run(student, arm, seed), budget, data, args.out, deadline)


def write_weights(args: argparse.Namespace, budget: Budget) -> dict[str, str]:
    """Write the initial weights of every student; return their files by student.

    Raises:
        UserError: If the weights do not exist or do not fit a student.
    """
    files = {}
    for student in args.students:
        backbone = branches_config(budget.students[student], budget).model.backbone
        found = find_pretrained(args.pretrained, backbone)
        file = args.out.resolve() / student / f'pretrained_{Path(args.pretrained).stem}.pth'
        files[student] = str(write_pretrained(found, file))
        print(f'{student}: pretrained weights from {args.pretrained}: {found}.', flush=True)
    return files


def on_unseen(results: list[dict], settings: dict, root: Path, out: Path) -> list[dict]:
    """Return the same runs with their scores on the persons that no run has seen as their ``test``.

    Raises:
        UserError: If the data are others than the runs', or everybody was trained on.
    """
    check_data(root, settings, out)
    train, selection = settings['train_persons'], settings['selection_persons']
    split = prepare_unseen(root, out / 'data', train, selection)
    print(f'On {split.persons} persons that no run has seen:', flush=True)
    folders = [(out / Run(r['student'], r['arm'], r['seed']).folder).resolve() for r in results]
    scores = {folder: evaluate_unseen(folder, split) for folder in folders}

    def score_of(folder: Path) -> dict | None:
        return scores.get(folder.resolve())  # a teacher from elsewhere may have seen them

    return [
        result | dict(test=scores[folder] | taught_by(result['model'], score_of))
        for result, folder in zip(results, folders, strict=True)
    ]


def fitting_arms(student: str, budget: Budget, data: Data) -> list[str]:
    """All arms but those that the student refuses, and a line about each of these."""
    teacher = training_config(Run(TEACHER, ALONE, 0), budget, data)
    arms = []
    for arm in all_arms():
        cfg = training_config(Run(student, arm, 0), budget, data)
        try:
            check_fit(cfg, teacher)
            arms.append(arm)
        except UserError as error:
            print(f'{student}/{arm} is left out: {error}', flush=True)
    return arms


def train_one(run: Run, budget: Budget, data: Data, out: Path, deadline: float) -> bool:
    """One run, and a line about it.

    Returns:
        Whether it is finished.
    """
    start = time.monotonic()
    ratio = 1.0
    if run.arm == ALONE_SAME_COST:
        pair = [
            training_config(Run(run.student, arm, run.seed), budget, data)
            for arm in (DEFAULT_METHOD, ALONE)
        ]
        ratio = cost_ratio(*pair, out / run.student / 'cost.json')
    cfg = training_config(run, budget, data, ratio)
    if needs_teacher(cfg):
        teacher = Run(TEACHER, ALONE, run.seed)
        check_fit(cfg, training_config(teacher, budget, data))
        if not train_one(teacher, budget, data, out, deadline):
            return False
        folder = out / teacher.folder
        cfg.model.teacher.update(
            config=str(folder / CONFIG), checkpoint=str(folder / WEIGHTS), output=None
        )
    result = train(run, cfg, out / run.folder, deadline)
    told = 'interrupted'
    if result:
        told = ', '.join(f'{name} {score["PCK"]:.2f}' for name, score in result['test'].items())
    print(f'{run.folder}: {told} ({time.monotonic() - start:.0f} s)', flush=True)
    return result is not None


def keep_settings(out: Path, budget: Budget, data: Path) -> None:
    """Write the settings, or hold them against those that are there; students may be added.

    Args:
        out: The benchmark's folder.
        budget: What the runs share.
        data: The folder whose persons they share.

    Raises:
        UserError: If they differ, or a file of the data is missing.
    """
    there = read_settings(out) if (out / SETTINGS).is_file() else {}
    digest = check_data(data, there, out)
    settings = json.loads(json.dumps(budget.settings())) | {DIGEST: digest}
    there = there or settings
    known = there['students']
    # A folder may be older than the digest, or than one of the students.
    there = {DIGEST: digest} | there | dict(students=settings['students'] | known)
    settings['students'] = known | settings['students']
    held, wanted = flat({key: there.get(key) for key in settings}), flat(settings)
    for key in wanted | held:
        if held.get(key) != wanted.get(key):
            raise UserError(
                f'{out} holds runs with {key}={held.get(key)!r}, not {wanted.get(key)!r}; choose '
                'another --out.'
            )
    out.mkdir(parents=True, exist_ok=True)
    (out / SETTINGS).write_text(json.dumps(settings, indent=1))


def check_data(root: Path, settings: dict, out: Path) -> str:
    """Hold the data against those that the runs were trained on.

    Returns:
        The digest of their annotations.

    Raises:
        UserError: If they are others, or a file is missing.
    """
    digest = annotations_digest(root)
    if settings.get(DIGEST, digest) != digest:  # a folder may be older than the digest
        raise UserError(
            f'{out} holds runs with other persons than those of --data {root}; choose another '
            '--out.'
        )
    return digest


def flat(settings: dict, prefix: str = '') -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found = {}
    for key, value in settings.items():
        name = f'{prefix}{key}'
        found |= flat(value, f'{name}.') if isinstance(value, dict) else {name: value}
    return found


def read_settings(out: Path) -> dict:
    """Return the settings of all runs in the folder."""
    return json.loads((out / SETTINGS).read_text())


def found(out: Path) -> list[dict]:
    """Return the existing results in the order of the arms."""
    order = {arm: index for index, arm in enumerate(all_arms())}
    results = [finished(file.parent) for file in out.glob(f'*/*/seed*/{RESULT}')]
    return sorted(
        results, key=lambda r: (r['student'], order.get(r['arm'], len(order)), r['arm'], r['seed'])
    )


if __name__ == '__main__':
    main()
