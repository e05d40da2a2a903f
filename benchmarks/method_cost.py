"""Compare the cost of a training step of each method, or split, with that of the student alone.

    python benchmarks/method_cost.py configs/okdhp/resnet18_mpii.py --batch-size 4
    python benchmarks/method_cost.py configs/okdhp/resnet18_mpii.py --splits layer1 layer2 whole

All sides take turns in one run. The memory is what a step keeps for its backward pass, which is
most of what it needs, and weights. The teacher of the offline methods is the student's own network
(``fpd``) and the multi-branch network of the config (``head_only``); a larger one costs more.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from step_time import packed_batch, start_training, step
from timing import report, take_turns
from torch import Tensor, nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.recipes.methods import apply_method, method_files
from okdhp_mm.student.config import stock_model

ALONE = 'alone'
SPLIT = 'split='
TEACHERS = {'fpd': stock_model, 'head_only': lambda model: model}


def config_of(side: str, model: ConfigDict, folder: Path) -> ConfigDict:
    """Return the model's config on one side; a frozen teacher is written to the folder."""
    if side == ALONE:
        return stock_model(model)
    teacher = model
    model = ConfigDict(model.to_dict())
    if side.startswith(SPLIT):
        model.split = side.removeprefix(SPLIT)
        return model
    apply_method(model, side)
    if side in TEACHERS:
        config, checkpoint = folder / f'{side}.py', folder / f'{side}.pth'
        Config(dict(model=TEACHERS[side](teacher))).dump(config)
        torch.save(MODELS.build(Config.fromfile(config).model).state_dict(), checkpoint)
        model.teacher.update(config=str(config), checkpoint=str(checkpoint))
    return model


def ready(side: str, model: ConfigDict, folder: Path) -> nn.Module:
    """Return the network of one side, on the device, at the end of its training."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    network = MODELS.build(config_of(side, model, folder)).to(device).train()
    return network if side == ALONE else start_training(network)


def whole_step(side: str, network: nn.Module, batch: dict) -> None:
    """Run a training step without the optimizer, with the update of the EMA copy."""
    step(network, batch)
    if side != ALONE and network.ema is not None:
        network.ema.update(network)


def kept_memory(network: nn.Module, run: Callable[[], None]) -> float:
    """MiB of what a step keeps for its backward pass, and of the network's weights."""
    weights = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    own = sum(value.nbytes for value in network.state_dict().values())
    return (sum(kept.values()) + own) / 2**20


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--methods', nargs='+', default=list(method_files()))
    parser.add_argument('--splits', nargs='+', help="compare these splits of the config's method")
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = Config.fromfile(args.config).model
    drop_pretrained(model)
    sides = [ALONE, *([f'{SPLIT}{point}' for point in args.splits or ()] or args.methods)]
    with tempfile.TemporaryDirectory() as folder:
        networks = {side: ready(side, model, Path(folder)) for side in sides}
    batch = packed_batch(networks[ALONE], args.batch_size)
    runs = {side: partial(whole_step, side, network, batch) for side, network in networks.items()}
    print(f'{args.config}, batch {args.batch_size}, torch {torch.__version__}')
    report(take_turns(runs, args.repeats), ALONE)
    memory = {side: kept_memory(networks[side], run) for side, run in runs.items()}
    for side, kept in memory.items():
        parameters = sum(value.numel() for value in networks[side].parameters()) / 1e6
        print(
            f'{side:28}{kept:9.0f} MiB {kept / memory[ALONE]:9.2f} times {ALONE}, '
            f'{parameters:.2f} M parameters'
        )


if __name__ == '__main__':
    main()
