"""Compare the cost of a training step of the branches with its lower bound.

    python benchmarks/step_time.py configs/okdhp/hrnet_w32_coco.py --batch-size 4
    python benchmarks/step_time.py configs/okdhp/resnet18_mpii.py --branches 2 3 4 6
    python benchmarks/step_time.py configs/okdhp/resnet18_mpii.py --bf16 --channels-last --compile

Sides, measured in turns in one run:

- step: the whole step, as the runner does it, without the optimizer
- floor: forward and backward of one trunk, the branches' tops and heads, plain MSE
- students: as many whole students as there are branches, one after another

``--branches`` measures them for several numbers of branches. With ``--bf16`` (autocast, as by
``train.py --amp`` with ``optim_wrapper.dtype=bfloat16``), ``--channels-last`` or ``--compile`` the
sides are the step without and with all that are given. ``--memory SIDE`` runs one side once and
prints the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from timing import memory_of, report, take_turns
from torch import Tensor, nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from mmpose.testing import get_packed_inputs  # isort: skip
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.models.branch_configs import config_branches
from okdhp_mm.models.heads.adapters import find_adapter
from okdhp_mm.student.config import stock_model

STEP, FLOOR, STUDENTS = 'step', 'floor', 'students'


def packed_batch(model: nn.Module, batch_size: int) -> dict:
    """Random images and targets in the shapes that the model is trained with."""
    codec = model.head.decoder
    width, height = codec.input_size
    first, *_ = getattr(model.head, 'branches', [model.head])
    if hasattr(codec, 'simcc_split_ratio'):
        targets = dict(with_heatmap=False, simcc_split_ratio=codec.simcc_split_ratio)
    else:
        targets = dict(heatmap_size=tuple(codec.heatmap_size))
    data = get_packed_inputs(
        batch_size,
        num_keypoints=first.out_channels,
        img_shape=(height, width),
        input_size=(width, height),
        **targets,
    )
    return model.data_preprocessor(data, training=True)


def start_training(model: nn.Module) -> nn.Module:
    """Prepare a model as the hooks of a training do, at the final value of its schedules."""
    model.head.distiller.set_progress(1.0)
    model.load_teacher()
    if model.ema is not None:
        model.ema.start(model)
    return model


def step(model: nn.Module, batch: dict, dtype: torch.dtype | None = None) -> None:
    """Run ``BaseModel.train_step`` up to the optimizer, autocast to a dtype if given."""
    with torch.autocast(batch['inputs'].device.type, dtype, enabled=dtype is not None):
        losses = model(**batch, mode='loss')
    model.parse_losses(losses)[0].backward()


def floor(model: nn.Module, images: Tensor, targets: Tensor) -> None:
    """Trunk once, every top and head, plain MSE."""
    features = model.backbone(images)
    heads = range(len(model.head.branches))
    sum(
        F.mse_loss(model.head.branch_forward(features, m)[0][-1], targets) for m in heads
    ).backward()


def students(model: nn.Module, images: Tensor, targets: Tensor, count: int) -> None:
    """Whole students, one after another."""
    adapter = find_adapter(model.head)
    for _ in range(count):
        output = adapter.to_maps(model(images, None, mode='tensor'))[-1]
        F.mse_loss(output, targets).backward()


def other_step(model: nn.Module, batch: dict, options: list[str]) -> Callable[[], None]:
    """Return the step of a copy of the model, with 'bf16', 'channels_last', 'compile' if named."""
    model, batch = copy.deepcopy(model), dict(batch)
    if 'channels_last' in options:
        model.to(memory_format=torch.channels_last)
        batch['inputs'] = batch['inputs'].contiguous(memory_format=torch.channels_last)
    if 'compile' in options:
        model.compile()
    return partial(step, model, batch, torch.bfloat16 if 'bf16' in options else None)


def sides_of(
    config: ConfigDict, batch_size: int, wanted: list[str], options: list[str]
) -> dict[str, Callable[[], None]]:
    """Return the wanted sides, each with its own network, and the step with options."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = start_training(MODELS.build(config).to(device).train())
    batch = packed_batch(model, batch_size)
    if options:
        return {
            STEP: partial(step, model, batch),
            ', '.join(options): other_step(model, batch, options),
        }
    targets = model.head.adapter.targets(batch['data_samples'])
    images = batch['inputs']
    sides = {STEP: partial(step, model, batch), FLOOR: partial(floor, model, images, targets)}
    if STUDENTS in wanted:
        student = MODELS.build(stock_model(config)).to(device).train()
        sides[STUDENTS] = partial(students, student, images, targets, len(model.head.branches))
    return {name: side for name, side in sides.items() if name in wanted}


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--branches', type=int, nargs='+', help="instead of the config's own")
    parser.add_argument('--no-students', action='store_true', help='leave out the third side')
    parser.add_argument('--bf16', action='store_true')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--memory', choices=[STEP, FLOOR, STUDENTS])
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)

    config = Config.fromfile(args.config).model
    drop_pretrained(config)
    options = [name for name in ('bf16', 'channels_last', 'compile') if vars(args)[name]]
    wanted = [STEP, FLOOR] if args.no_students else [STEP, FLOOR, STUDENTS]
    if args.memory:
        side = sides_of(config, args.batch_size, [args.memory], [])[args.memory]
        print(f'{args.memory}: {memory_of(side):.0f} MiB on top of the models')
        return

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    print(f'{args.config}, batch {args.batch_size}, {device}, torch {torch.__version__}')
    runs = {}
    for count in args.branches or [len(config_branches(config))]:
        if args.branches:
            config.branches = count
        sides = sides_of(config, args.batch_size, wanted, options)
        runs |= {(count, name): run for name, run in sides.items()}
    seconds = take_turns(runs, args.repeats)
    for count in sorted({count for count, _ in runs}):
        print(f'{count} branches')
        own = {name: values for (c, name), values in seconds.items() if c == count}
        report(own, STEP if options else FLOOR)


if __name__ == '__main__':
    main()
