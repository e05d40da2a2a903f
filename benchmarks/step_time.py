"""What a training step of the branches costs beside what it cannot avoid.

    python benchmarks/step_time.py configs/okdhp/hrnet_w32_coco.py --batch-size 4

Sides, measured in turns in one run:

- step: the whole step, as the runner does it, without the optimiser
- floor: forward and backward of one trunk, the branches' tops and heads, plain MSE
- students: as many whole students as there are branches, one after another

``--memory SIDE`` runs one side once and prints the peak of a process of its own.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from timing import peak_memory, report, take_turns
from torch import Tensor, nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from mmpose.testing import get_packed_inputs  # isort: skip
from okdhp_mm.cli import drop_pretrained
from okdhp_mm.export import stock_model

REFERENCE = 'floor'


def packed_batch(model: nn.Module, batch_size: int) -> dict:
    """Random images and heatmaps in the shapes that the model is trained with."""
    codec = model.head.decoder
    width, height = codec.input_size
    first, *_ = getattr(model.head, 'branches', [model.head])
    data = get_packed_inputs(
        batch_size,
        num_keypoints=first.out_channels,
        img_shape=(height, width),
        input_size=(width, height),
        heatmap_size=tuple(codec.heatmap_size),
    )
    return model.data_preprocessor(data, training=True)


def step(model: nn.Module, batch: dict) -> None:
    """The step of ``BaseModel.train_step`` up to the optimiser."""
    losses = model(**batch, mode='loss')
    model.parse_losses(losses)[0].backward()


def floor(model: nn.Module, images: Tensor, targets: Tensor) -> None:
    """Trunk once, every top and head, plain MSE."""
    features = model.backbone(images)
    heads = range(len(model.head.branches))
    sum(F.mse_loss(model.head.branch_forward(features, m)[-1], targets) for m in heads).backward()


def students(model: nn.Module, images: Tensor, targets: Tensor, count: int) -> None:
    """Whole students, one after another."""
    for _ in range(count):
        F.mse_loss(model(images, None, mode='tensor'), targets).backward()


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--memory', choices=['step', 'floor', 'students'])
    args = parser.parse_args()
    init_default_scope('mmpose')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)

    cfg = Config.fromfile(args.config)
    drop_pretrained(cfg.model)
    model = MODELS.build(cfg.model).to(device).train()
    student = MODELS.build(stock_model(cfg.model)).to(device).train()
    batch = packed_batch(model, args.batch_size)
    targets = torch.stack([sample.gt_fields.heatmaps for sample in batch['data_samples']])
    images = batch['inputs']
    sides = {
        'step': partial(step, model, batch),
        'floor': partial(floor, model, images, targets),
        'students': partial(students, student, images, targets, len(model.head.branches)),
    }
    if args.memory:
        before = peak_memory()
        sides[args.memory]()
        print(f'{args.memory}: {peak_memory() - before:.0f} MiB on top of the models')
        return
    print(f'{args.config}, batch {args.batch_size}, {device}, torch {torch.__version__}')
    report(take_turns(sides, args.repeats), REFERENCE)


if __name__ == '__main__':
    main()
