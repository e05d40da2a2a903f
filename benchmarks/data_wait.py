"""Measure the share of a training step that waits for data.

    python benchmarks/data_wait.py configs/okdhp/resnet18_mpii.py --data data/mpii

Trains on real persons by the config's own loader and optimizer, and takes the time between asking
for a batch and having it apart from that of the step. It also measures the processor time of one
core that a person takes in the data pipeline and in the step. The ratio tells how many workers keep
the step from waiting on another machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from real_persons import config_of
from timing import synchronize
from torch import nn
from torch.utils.data import DataLoader, Dataset

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip


@dataclass(frozen=True)
class Iteration:
    """Seconds of one iteration of a training.

    Attributes:
        wait: From asking for the batch to having it.
        step: The step, optimizer included.
        busy: Processor time of this process in the step.
    """

    wait: float
    step: float
    busy: float


def iterations(
    model: nn.Module, optimizer: OptimWrapper, loader: DataLoader, count: int
) -> Iterator[Iteration]:
    """Train, and time every iteration."""
    batches = iter(loader)
    for _ in range(count):
        start = time.perf_counter()
        batch = next(batches)
        loaded, busy = time.perf_counter(), time.process_time()
        model.train_step(batch, optimizer)
        synchronize()
        yield Iteration(loaded - start, time.perf_counter() - loaded, time.process_time() - busy)


def pipeline_seconds(dataset: Dataset, persons: int) -> float:
    """Processor time of one person in the data pipeline, in this process."""
    start = time.process_time()
    for index in range(persons):
        dataset[index]
    return (time.process_time() - start) / persons


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default='configs/okdhp/resnet18_mpii.py')
    parser.add_argument('--data', default='data/mpii', help="a folder in MPII's layout")
    parser.add_argument('--batch-size', type=int, help="instead of the config's own")
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--persons', type=int, default=64, help='through the pipeline alone')
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)

    config = config_of(args.config, args.data)
    settings = config.train_dataloader
    settings.batch_size = args.batch_size or settings.batch_size
    loader = Runner.build_dataloader(settings, seed=0)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(config.model).to(device).train()
    model.head.distiller.set_progress(1.0)
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    print(
        f'{args.config}, batch {settings.batch_size}, {settings.num_workers} workers, {device}, '
        f'torch {torch.__version__}'
    )

    person = pipeline_seconds(loader.dataset, args.persons)
    # The first iteration waits for the workers to start.
    _, *timed = iterations(model, optimizer, loader, args.steps + 1)
    wait, step = sum(it.wait for it in timed), sum(it.step for it in timed)
    print(f'{wait:.3f}s of waiting, {step:.3f}s of {len(timed)} steps')
    print(f'{wait / (wait + step):.2%} of the time waits for data')
    taught = statistics.median(it.busy for it in timed) / settings.batch_size
    print(
        f'a person takes {1000 * person:.1f} ms in the pipeline, {1000 * taught:.1f} ms in the '
        f'step: ratio {person / taught:.3f}'
    )


if __name__ == '__main__':
    main()
