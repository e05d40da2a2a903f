"""Compare the cost of an exported student with the stock network, or list the small students.

    OMP_NUM_THREADS=1 python benchmarks/student_cost.py
    OMP_NUM_THREADS=1 python benchmarks/student_cost.py --table --onnx

Every student is cut out of an untrained checkpoint by the export that users call, and built from
what it wrote. Both sides take turns on one image. ``--table --onnx`` prints the
figures of docs/how-to/backbone.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from onnx_speed import session_of, student_of, untrained
from timing import report, take_turns
from torch import nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.apis import init_model  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.deploy.onnx.graph import build_onnx, map_names
from okdhp_mm.deploy.onnx.quantize import quantize
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.recipes.own_config import backbone_text, head_text
from okdhp_mm.recipes.students import STUDENTS, codec_of
from okdhp_mm.student.complexity import complexity
from okdhp_mm.student.config import stock_model
from okdhp_mm.student.export import export_student

STUDENT, STOCK = 'student', 'stock'
CONFIGS = ('resnet18_mpii', 'hrnet_w32_coco')
FOLDER = Path(__file__).parents[1] / 'configs' / 'okdhp'
SIZES = ((192, 256), (128, 128))
SMALL_CONFIGS = (
    'mobilenetv2_coco',
    'shufflenetv2_coco',
    'simcc_resnet18_mpii',
    'hourglass2_mpii',
    'hourglass4_mpii',
)
"""Shipped configs whose student is not one of STUDENTS."""
COLUMNS = ('student', 'input', 'parameters', 'GFLOPs', 'weights', 'PyTorch')
ONNX_COLUMNS = ('ONNX', '8 bits', 'ONNX file', '8 bits file')


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


def own_student(name: str, size: tuple[int, int]) -> nn.Module:
    """Build the network that ``convert --student NAME --input-size WxH`` trains, untrained."""
    student = STUDENTS[name]
    text = f"""
_base_ = {student.base!r}
codec = {codec_of(student, size)!r}
model = dict(
{backbone_text(student, '')}    head=dict({head_text(student)}decoder=codec),
)
"""
    return untrained(Config.fromstring(text, '.py'))


def small_students() -> Iterator[tuple[str, nn.Module]]:
    """Yield every small student and its name in the table."""
    for name in STUDENTS:
        for size in SIZES:
            yield f'--student {name}', own_student(name, size)
    for name in SMALL_CONFIGS:
        yield f'{name}.py', student_of(f'{FOLDER / name}.py')


def cost_row(name: str, student: nn.Module, repeats: int, onnx: bool) -> list[str]:
    """Return the row of a student: sizes, and the fastest of all repeats on one thread."""
    width, height = map(int, student.head.decoder.input_size)
    images = torch.randn(1, 3, height, width)
    sides = {'eager': partial(student, images, None, mode='tensor')}
    graphs = []
    if onnx:
        graph, _ = build_onnx(student)
        graphs = [graph, quantize(graph, map_names(student), images)]
        inputs = {'input': images.numpy()}
        for side, model in zip(('graph', 'int8'), graphs, strict=True):
            sides[side] = partial(session_of(model).run, None, inputs)
    with torch.inference_mode():
        seconds = take_turns(sides, repeats, warm_up=3, clock=time.process_time)
    cost = complexity(student)
    weights = sum(value.nbytes for value in student.state_dict().values())
    return [
        f'`{name}`',
        f'{width}x{height}',
        f'{cost.parameters / 1e6:.2f} M',
        f'{cost.flops / 1e9:.2f}',
        f'{weights / 1e6:.1f} MB',
        *(f'{1000 * min(values):.1f} ms' for values in seconds.values()),
        *(f'{model.ByteSize() / 1e6:.1f} MB' for model in graphs),
    ]


def print_table(repeats: int, onnx: bool) -> None:
    """Print the cost of all small students as a Markdown table."""
    torch.set_num_threads(1)
    columns = [*COLUMNS, *(ONNX_COLUMNS if onnx else ())]
    versions = ', '.join(f'{name} {version(name)}' for name in ('torch', 'onnxruntime')[: 1 + onnx])
    print(f'{versions}, one thread, batch 1, fastest of {repeats}, {time.strftime("%Y-%m-%d")}')
    print(f'| {" | ".join(columns)} |\n{"|---" * len(columns)}|')
    for name, student in small_students():
        print(f'| {" | ".join(cost_row(name, student, repeats, onnx))} |', flush=True)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', default=[f'{FOLDER / c}.py' for c in CONFIGS])
    parser.add_argument('--repeats', type=int, default=40)
    parser.add_argument('--table', action='store_true', help='list the cost of all small students')
    parser.add_argument('--onnx', action='store_true', help='with --table: also of their graphs')
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)
    if args.table:
        print_table(args.repeats, args.onnx)
        return
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, batch 1')
    for config in args.configs:
        compare(config, args.repeats)


if __name__ == '__main__':
    main()
