"""What an exported student costs beside the stock network: latency, parameters and FLOPs.

    OMP_NUM_THREADS=1 python benchmarks/student_cost.py

Every student is cut out of an untrained checkpoint by the export that users call, and built from
what it wrote. Both sides take turns on one image.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from timing import report, take_turns
from torch import nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.apis import init_model  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.student.complexity import complexity
from okdhp_mm.student.config import stock_model
from okdhp_mm.student.export import export_student

STUDENT, STOCK = 'student', 'stock'
CONFIGS = ('resnet18_mpii', 'hrnet_w32_coco')
FOLDER = Path(__file__).parents[1] / 'configs' / 'okdhp'


def exported_student(config: Config, folder: Path) -> nn.Module:
    """Branch 0 of an untrained model, written and read again."""
    checkpoint = folder / 'checkpoint.pth'
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), checkpoint)
    export = export_student(config, str(checkpoint), folder / 'student')
    return init_model(str(export.config), str(export.checkpoint), device='cpu')


def networks(config: Config) -> dict[str, nn.Module]:
    """Both sides, on the device."""
    drop_pretrained(config.model)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    with tempfile.TemporaryDirectory() as folder:
        student = exported_student(config, Path(folder))
    stock = MODELS.build(stock_model(config.model))
    return {STUDENT: student.to(device).eval(), STOCK: stock.to(device).eval()}


@torch.inference_mode()
def compare(config: str, repeats: int) -> None:
    """Print the three ratios of one config."""
    sides = networks(Config.fromfile(config))
    width, height = map(int, sides[STOCK].head.decoder.input_size)
    device = next(sides[STOCK].parameters()).device
    images = torch.randn(1, 3, height, width, device=device)
    runs = {name: partial(net, images, None, mode='tensor') for name, net in sides.items()}
    print(Path(config).stem)
    report(take_turns(runs, repeats), STOCK)
    ours, theirs = (complexity(sides[name].cpu()) for name in (STUDENT, STOCK))
    print(f'{STUDENT}: {ours}; {STOCK}: {theirs}')
    parameters, flops = ours.parameters / theirs.parameters, ours.flops / theirs.flops
    print(f'parameters {parameters:.3f}, FLOPs {flops:.3f}')


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', default=[f'{FOLDER / c}.py' for c in CONFIGS])
    parser.add_argument('--repeats', type=int, default=40)
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, batch 1')
    for config in args.configs:
        compare(config, args.repeats)


if __name__ == '__main__':
    main()
