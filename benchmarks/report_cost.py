"""Measure the cost of the report of distillation: a reported step and one without a report.

    python benchmarks/report_cost.py configs/okdhp/hrnet_w32_coco.py --batch-size 4

A step is what the runner does, hooks included, without the data loader and the optimizer. Every
``--interval``-th step is a reported one; the last line says what that makes of the average step.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from step_time import packed_batch, start_training, step
from timing import report, take_turns
from torch import nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.engine import DistillReportHook
from okdhp_mm.io.config import drop_pretrained


def hooked_step(model: nn.Module, batch: dict, hook: DistillReportHook, runner) -> None:
    """One step with the hook around it."""
    hook.before_train_iter(runner, 0)
    step(model, batch)
    hook.after_train_iter(runner, 0)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--interval', type=int, default=50)
    args = parser.parse_args()
    if args.repeats < 2:
        parser.error(f'--repeats {args.repeats}: quartiles need 2 at least')
    init_default_scope('mmpose')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)

    cfg = Config.fromfile(args.config)
    drop_pretrained(cfg.model)
    model = start_training(MODELS.build(cfg.model).to(device).train())
    batch = packed_batch(model, args.batch_size)
    runner = SimpleNamespace(
        model=model,
        iter=0,
        max_iters=1000,
        cfg={},
        message_hub=MessageHub('cost'),
        visualizer=SimpleNamespace(add_scalars=lambda values, step: None),
        logger=MMLogger('cost', log_level='ERROR'),
        train_dataloader=SimpleNamespace(dataset=[]),
    )
    every = DistillReportHook(interval=1, keypoints_every=1)
    never = DistillReportHook(interval=10**9)
    sides = {
        'no hook': partial(step, model, batch),
        'hook, step not reported': partial(hooked_step, model, batch, never, runner),
        'hook, reported step': partial(hooked_step, model, batch, every, runner),
    }
    print(f'{args.config}, batch {args.batch_size}, {device}, torch {torch.__version__}')
    seconds = take_turns(sides, args.repeats)
    report(seconds, 'no hook')
    plain, _, reported = seconds.values()
    ratio = statistics.median(b / a for a, b in zip(plain, reported, strict=True))
    print(f'interval={args.interval}: {1 + (ratio - 1) / args.interval:.4f} of a step without')


if __name__ == '__main__':
    main()
