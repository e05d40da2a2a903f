"""Measure what several branches add to video, with controls. Resumable.

    python benchmarks/video_branches --data data/fly_pair --out work_dirs/video_branches
    python benchmarks/video_branches --out work_dirs/video_branches --report

One OKDHP run trains a large and two small students on one trunk. The tables say what the large
student adds when it is called on some frames, and how well confidences find wrong keypoints.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmengine.registry import init_default_scope  # noqa: E402

from okdhp_mm.cli.error_exit import errors_in_one_sentence  # noqa: E402
from video_branches.networks import measured, prepare  # noqa: E402
from video_branches.report import report  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, help='folder with annotations.json and frames/')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=1200)
    parser.add_argument('--clips', type=int, default=8, help='of four frames, per iteration')
    parser.add_argument('--pool', type=int, default=1500, help='clips that are augmented once')
    parser.add_argument('--report', action='store_true', help='train nothing, print the tables')
    args = parser.parse_args()
    # benchmarks/dkd.py, whose config is changed here, has an option for it.
    args.initializer_iterations = args.iterations
    return args


def main() -> None:
    """Parse, train what is missing, and report."""
    args = parse_args()
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    with errors_in_one_sentence():
        if not args.report:
            args.out, args.data = args.out.resolve(), args.data.resolve()
            prepare(args)
            for seed in args.seeds:
                measured(args, seed)
        print(report(args.out))


if __name__ == '__main__':
    main()
