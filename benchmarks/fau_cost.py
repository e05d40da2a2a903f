"""Measure the cost of the three forms of the FAU in a training step.

    python benchmarks/fau_cost.py --batch-size 2 --repeats 7

Sides, measured in turns in one run: the whole step of a config without any FAU (mean ensemble,
without the optimizer), and forward and backward of each form alone on the feature that this config
shares. A form's share is its time over the sum of both.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from step_time import packed_batch, step
from timing import report, take_turns
from torch import Tensor, nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.models.aggregators import FAU
from okdhp_mm.models.aggregators.fau import FORMS

STEP = 'step without FAU'
GIGA = 1024**3  # as in the literature on hourglasses


def multiply_adds(run: Callable[[], Tensor], network: nn.Module) -> float:
    """Return the multiply-adds of convolutions and linear layers of one run, in units of 1024^3."""
    counts = []
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [
        layer.register_forward_hook(
            lambda layer, _, out: counts.append(out.numel() * layer.weight[0].numel())
        )
        for layer in layers
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return sum(counts) / GIGA


def learn(fau: nn.Module, shared: Tensor) -> None:
    """Forward and backward, down to the shared feature."""
    fau(shared).square().sum().backward()


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='?', default='configs/okdhp/hourglass4_mpii.py')
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=7)
    args = parser.parse_args()
    init_default_scope('mmpose')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)

    cfg = Config.fromfile(args.config)
    drop_pretrained(cfg.model)
    cfg.model.aggregator = dict(type='MeanAggregator')
    model = MODELS.build(cfg.model).to(device).train()
    batch = packed_batch(model, args.batch_size)
    with torch.no_grad():
        shared = model.backbone(batch['inputs']).shared
    shared.requires_grad_()
    sizes = (shared.shape[1], len(model.head.branches), model.head.branches[0].out_channels)
    faus = {form: FAU(*sizes, form=form).to(device) for form in FORMS}

    print(f'{args.config}, batch {args.batch_size}, {device}, torch {torch.__version__}')
    macs = multiply_adds(lambda: model.head.outputs(model.backbone(batch['inputs'])), model)
    parameters = sum(p.numel() for p in model.parameters())
    print(f'{STEP:28}{parameters / 1e6:8.3f} M {macs / args.batch_size:9.3f} GMAC per image')
    for form, fau in faus.items():
        macs = multiply_adds(partial(fau, shared), fau)
        parameters = sum(p.numel() for p in fau.parameters())
        print(f'{form:28}{parameters / 1e6:8.3f} M {macs / args.batch_size:9.3f} GMAC per image')

    sides = {STEP: partial(step, model, batch)}
    sides |= {form: partial(learn, fau, shared) for form, fau in faus.items()}
    seconds = take_turns(sides, args.repeats)
    report(seconds, STEP)
    for form in FORMS:
        shares = [a / (a + b) for a, b in zip(seconds[form], seconds[STEP], strict=True)]
        low, middle, high = statistics.quantiles(shares, n=4)
        print(f'{form:28}{middle:.1%} of a step with it ({low:.1%} .. {high:.1%})')


if __name__ == '__main__':
    main()
