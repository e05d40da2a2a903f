"""Compare trackers on annotated clips with drawn errors, and on the boxes of a real detector.

    python benchmarks/tracking DATA --seeds 3
    python benchmarks/tracking DATA --seeds 3 --other-python VENV/bin/python

DATA holds `players3x3/` and `players3x3_boxes/`. The other interpreter has bytetracker, ocsort and
norfair, whose pins conflict with mmpose's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from okdhp_mm.cli.error_exit import errors_in_one_sentence  # noqa: E402
from okdhp_mm.video.metric import tracking_scores  # noqa: E402
from okdhp_mm.video.modes import build_tracker  # noqa: E402
from okdhp_mm.video.tracker import corners  # noqa: E402
from tracking import players  # noqa: E402
from tracking.detection_errors import HEAVY, LIGHT, detect  # noqa: E402
from tracking.mmpose_rules import MmposeRule  # noqa: E402

OURS: dict[str, Callable] = {
    'mmpose, IoU': MmposeRule,
    'mmpose, OKS': lambda: MmposeRule(oks=True),
    'poseflow': lambda: build_tracker('poseflow'),
    'poseflow_released': lambda: build_tracker('poseflow_released'),
    'online (default)': build_tracker,
    'online, named at once': None,
}
OTHERS = ('bytetrack', 'ocsort', 'norfair')
SCENARIOS = {
    f'{name}, {players.RATE / step:g} fps': (errors, step)
    for name, errors in (('heavy', HEAVY), ('light', LIGHT))
    for step in (1, 4)
}


@dataclass(frozen=True)
class Detections:
    """A clip as a tracker sees it, and the function that compares identities with the truth."""

    detected: players.Frames
    rate: float
    compare: Callable


def pose_sequences(clips: dict, errors, step: int, seed: int) -> list[Detections]:
    """Return the clips with drawn errors."""
    sequences = []
    for name, poses in clips.items():
        generator = np.random.default_rng([seed, int(name[1]) * 10 + int(name[3])])
        truth = poses[::step]
        detected = [detect(persons, errors, generator) for persons in truth]
        sequences.append(
            Detections(
                detected,
                players.RATE / step,
                lambda ids, t=truth, d=detected: players.compare_poses(t, d, ids),
            )
        )
    return sequences


def box_sequences(clips: dict, step: int) -> list[Detections]:
    """Return the clips of real boxes, each box as a pose of two corners."""
    sequences = []
    for truth, found in clips.values():
        true, boxes = truth[::step], found[::step]
        detected = [(corners(box), np.full((len(box), 2), 0.9)) for box, _ in boxes]
        sequences.append(
            Detections(
                detected,
                players.RATE / step,
                lambda ids, t=true, b=boxes: players.compare_boxes(t, b, ids),
            )
        )
    return sequences


def run(name: str, sequences: Sequence[Detections], other_python: str | None) -> tuple[list, float]:
    """Return the identities of each sequence, and the milliseconds per frame."""
    frames = sum(len(sequence.detected) for sequence in sequences)
    if name in OTHERS:
        ids, seconds = _run_other(name, sequences, other_python)
        return ids, 1000 * seconds / frames
    ids, start = [], time.process_time()
    for sequence in sequences:
        tracker = (OURS[name] or build_tracker)()
        online = [
            tracker.update(index / sequence.rate, *frame)
            for index, frame in enumerate(sequence.detected)
        ]
        ids.append(online if OURS[name] is None else tracker.finish())
    return ids, 1000 * (time.process_time() - start) / frames


def _run_other(name: str, sequences: Sequence[Detections], python: str) -> tuple[list, float]:
    arrays = {}
    for number, sequence in enumerate(sequences):
        keypoints, scores = zip(*sequence.detected, strict=True)
        arrays |= {
            f'{number}/keypoints': np.concatenate(keypoints),
            f'{number}/scores': np.concatenate(scores),
            f'{number}/counts': list(map(len, keypoints)),
            f'{number}/rate': sequence.rate,
        }
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / 'in.npz', Path(folder) / 'out.npz']
        np.savez(files[0], **arrays)
        script = Path(__file__).with_name('others.py')
        subprocess.run([python, script, name, *files], check=True, capture_output=True, text=True)
        found = dict(np.load(files[1]))
    ids = [
        np.split(found[f'{n}/ids'], np.cumsum(arrays[f'{n}/counts'])[:-1])
        for n in range(len(sequences))
    ]
    return ids, sum(float(found[f'{n}/seconds']) for n in range(len(sequences)))


def measure(name: str, sequences: Sequence[Detections], other_python: str | None) -> dict:
    """Return the scores of a tracker over all sequences, and its milliseconds per frame."""
    ids, milliseconds = run(name, sequences, other_python)
    compared = [s.compare(found) for s, found in zip(sequences, ids, strict=True)]
    return tracking_scores(compared) | dict(ms=milliseconds)


def row(name: str, values: Sequence[dict]) -> str:
    """Return a row of the table: the mean, and for switches the lowest and the highest seed."""
    mean = {key: np.mean([value[key] for value in values]) for key in values[0]}
    switches = [value['IDSW'] for value in values]
    spread = f' ({min(switches):.0f} .. {max(switches):.0f})' if len(values) > 1 else ''
    scores = ' | '.join(f'{mean[key]:.1f}' for key in ('HOTA', 'IDF1', 'MOTA'))
    return f'| {name} | {mean["IDSW"]:.0f}{spread} | {scores} | {mean["ms"]:.1f} |'


def main() -> None:
    """Parse, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder with players3x3 and players3x3_boxes')
    parser.add_argument('--seeds', type=int, default=3, help='draw the errors so many times')
    parser.add_argument('--clips', nargs='+', help='only these, e.g. S6T5 (default: all)')
    parser.add_argument('--trackers', nargs='+', help='only these rows')
    parser.add_argument('--other-python', help='interpreter with bytetracker, ocsort and norfair')
    args = parser.parse_args()
    names = args.trackers or [*OURS, *(OTHERS if args.other_python else ())]
    clips = players.pose_clips(args.data / 'players3x3')
    clips = {name: clips[name] for name in args.clips or clips}
    head = '|---|---|---|---|---|---|'
    with errors_in_one_sentence():
        for title, (errors, step) in SCENARIOS.items():
            print(f'\n| {title} | IDSW | HOTA | IDF1 | MOTA | ms |\n{head}', flush=True)
            drawn = [pose_sequences(clips, errors, step, seed) for seed in range(args.seeds)]
            for name in names:
                print(row(name, [measure(name, each, args.other_python) for each in drawn]),
                      flush=True)  # fmt: skip
        if args.clips:
            return
        boxes = players.box_clips(args.data / 'players3x3_boxes' / 'boxes.npz')
        for step in (1, 4):
            print(f'\n| real boxes, {players.RATE / step:g} fps | IDSW | HOTA | IDF1 | MOTA | ms |')
            print(head, flush=True)
            given = [[ids for _, ids in found[::step]] for _, found in boxes.values()]
            sequences = box_sequences(boxes, step)
            compared = [s.compare(ids) for s, ids in zip(sequences, given, strict=True)]
            print(row('BoT-SORT, as given', [tracking_scores(compared) | dict(ms=np.nan)]))
            for name in names:
                print(row(name, [measure(name, sequences, args.other_python)]), flush=True)


if __name__ == '__main__':
    main()
