"""Time to build a multi-branch model, compared with the stock networks that it consists of.

    python benchmarks/build_time.py configs/okdhp/hrnet_w32_coco.py

The sides are measured in turn, so that other work on the machine slows all of them. Prints the
smallest and the median time of every side, and the ratio of ours to two references:

- one stock build plus one forward pass of the trunk, every branch and every head;
- the stock builds that a split needs (one of the trunk and one of each branch) plus the same pass.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import okdhp_mm  # noqa: F401  (registers)
from okdhp_mm.student.config import stock_model


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def summary(values: list[float]) -> str:
    """Return the smallest value and the median as text."""
    return f'min {min(values):.2f}, median {median(values):.2f}'


@torch.no_grad()
def main() -> None:
    """Measure the sides in turn and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('config', help='training config')
    parser.add_argument('--repeats', type=int, default=15, help='rounds (default: 15)')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    stock = stock_model(cfg.model)
    trained = MODELS.build(copy.deepcopy(cfg.model)).eval()
    width, height = trained.head.decoder.input_size
    image = torch.zeros(1, 3, height, width)
    sides = {
        'ours': lambda: MODELS.build(copy.deepcopy(cfg.model)),
        'stock': lambda: MODELS.build(copy.deepcopy(stock)),
        'pass': lambda: trained.head.branch_outputs(trained.backbone(image)),
    }
    rounds = [{name: seconds(run) for name, run in sides.items()} for _ in range(args.repeats)]
    for name in sides:
        print(f'{name:<6} {summary([one[name] for one in rounds])} s')
    builds = len(trained.head.branches) + 1
    for count in (1, builds):
        ratios = [one['ours'] / (count * one['stock'] + one['pass']) for one in rounds]
        print(f'ours / ({count} x stock + pass) = {summary(ratios)}')


if __name__ == '__main__':
    main()
