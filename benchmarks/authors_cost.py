"""Compare the cost of a training step with the arrangement of the authors' release.

    python benchmarks/authors_cost.py --batch-size 16 --input-size 128

Sides, measured in turns in one run, each of them the whole step, without the optimizer:

- ours: the config as it is
- official: its network with the authors' FAU at full resolution and losses of the same value as
  theirs, of all joints and branches at once
- authors: the same, with their losses as they compute them, see ``joint_loops.py``

The memory below the times is what a step keeps for its backward pass, and weights.
``--memory SIDE`` runs one side once and prints the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial

import torch
from joint_loops import LoopDistiller
from method_cost import kept_memory
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from step_time import packed_batch, step
from timing import memory_of, report, take_turns

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.recipes.methods import apply_method

OURS, OFFICIAL, AUTHORS = 'ours', 'official', 'authors'


def side_of(name: str, config: ConfigDict, batch_size: int) -> Callable[[], None]:
    """Return the step of one side, of a network of its own."""
    config = copy.deepcopy(config)
    if name != OURS:
        apply_method(config, 'okdhp_official')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(config).to(device).train()
    model.head.distiller.set_progress(1.0)
    if name == AUTHORS:
        model.head.distiller = LoopDistiller()
    return partial(step, model, packed_batch(model, batch_size))


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default='configs/okdhp/hourglass4_mpii.py')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--input-size', type=int, help="instead of the config's own")
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--memory', choices=[OURS, OFFICIAL, AUTHORS])
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)
    config = Config.fromfile(args.config).model
    drop_pretrained(config)
    if args.input_size:
        config.head.decoder.update(
            input_size=(args.input_size,) * 2, heatmap_size=(args.input_size // 4,) * 2
        )
    if args.memory:
        side = side_of(args.memory, config, args.batch_size)
        print(f'{args.memory}: {memory_of(side):.0f} MiB on top of the model')
        return
    sides = {name: side_of(name, config, args.batch_size) for name in (OURS, OFFICIAL, AUTHORS)}
    size = 'x'.join(map(str, config.head.decoder.input_size))
    print(f'{args.config}, batch {args.batch_size}, {size}, torch {torch.__version__}')
    report(take_turns(sides, args.repeats), AUTHORS)
    kept = {name: kept_memory(side.args[0], side) for name, side in sides.items()}
    for name, memory in kept.items():
        print(f'{name:28}{memory:9.0f} MiB {memory / kept[AUTHORS]:9.3f} times {AUTHORS}')


if __name__ == '__main__':
    main()
