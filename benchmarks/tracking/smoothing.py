"""Measure what smoothing does to noisy and to good poses of annotated clips.

    python benchmarks/tracking/smoothing.py DATA

The identities are the true ones. Errors are mean distances to the labels in percent of the body
height; the labels shake as well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from okdhp_mm.video.smooth import one_euro, savitzky_golay

sys.path.insert(0, str(Path(__file__).parents[1]))

from tracking.players import RATE, pose_clips  # noqa: E402


def errors(clips: Iterable[np.ndarray], jitter: float, seed: int = 0) -> dict[str, float]:
    """Return the mean error in body heights, raw and by each smoother.

    Args:
        clips: True poses, (T, P, K, 2) each.
        jitter: Standard deviation of the noise on each coordinate in body heights.
        seed: Of the noise.
    """
    generator, found = np.random.default_rng(seed), {}
    for truth in clips:
        times = np.arange(len(truth)) / RATE
        for person in np.moveaxis(truth, 1, 0):
            heights = np.ptp(person, axis=1).max(1)
            noise = generator.standard_normal(person.shape)
            noisy = person + jitter * heights[:, None, None] * noise
            poses = dict(
                raw=noisy,
                one_euro=one_euro(times, noisy, float(np.median(heights))),
                savitzky_golay=savitzky_golay(times, noisy),
            )
            for name, pose in poses.items():
                error = np.linalg.norm(pose - person, axis=-1) / heights[:, None]
                found.setdefault(name, []).append(error.ravel())
    return {name: float(np.concatenate(values).mean()) for name, values in found.items()}


def main() -> None:
    """Parse, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder with players3x3')
    parser.add_argument('--seeds', type=int, default=3, help='draw the noise so many times')
    args = parser.parse_args()
    clips = pose_clips(args.data / 'players3x3').values()
    print('| jitter | raw | one_euro | savitzky_golay |\n|---|---|---|---|')
    for jitter in (0.005, 0.01, 0.02, 0.05):
        runs = [errors(clips, jitter, seed) for seed in range(args.seeds)]
        values = (100 * np.mean([run[name] for run in runs]) for name in runs[0])
        print(f'| {100 * jitter:g} % |', ' | '.join(f'{value:.2f}' for value in values), '|')


if __name__ == '__main__':
    main()
