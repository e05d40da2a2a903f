"""KL and MSE of all branches at once, against the per-joint loops of the authors' code.

    python benchmarks/kd_losses.py

K = 17 keypoints, M = 3 branches, 64x48 heatmaps, batch 16; forward and backward.
"""

from __future__ import annotations

import argparse
from functools import partial

import joint_loops
import torch
from timing import report, take_turns
from torch import Tensor

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.models.losses import KeypointMSELoss  # isort: skip
from okdhp_mm.models.losses import KLHeatmapLoss

BATCH, BRANCHES, KEYPOINTS, HEIGHT, WIDTH = 16, 3, 17, 64, 48


def vectorised(outputs: list[Tensor], ensemble: Tensor, targets: Tensor, weights: Tensor) -> None:
    """Return the terms as the distiller computes them."""
    mse, kl = KeypointMSELoss(use_target_weight=True), KLHeatmapLoss()
    total = sum(mse(output, targets, weights) for output in outputs)
    (total + kl(torch.stack(outputs), ensemble, weights)).backward()


def loops(outputs: list[Tensor], ensemble: Tensor, targets: Tensor, weights: Tensor) -> None:
    """Return the same losses, computed in a loop over branches and keypoints."""
    terms = (
        joint_loops.mse(output, targets, weights) + joint_loops.kl(output, ensemble, weights)
        for output in outputs
    )
    sum(terms).backward()


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=30)
    args = parser.parse_args()
    torch.manual_seed(0)
    shape = (BATCH, KEYPOINTS, HEIGHT, WIDTH)
    outputs = [torch.rand(shape, requires_grad=True) for _ in range(BRANCHES)]
    ensemble, targets = torch.rand(shape), torch.rand(shape)
    weights = torch.ones(BATCH, KEYPOINTS)
    sides = {
        'vectorised': partial(vectorised, outputs, ensemble, targets, weights),
        'loops': partial(loops, outputs, ensemble, targets, weights),
    }
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads')
    report(take_turns(sides, args.repeats), 'loops')


if __name__ == '__main__':
    main()
