"""One image on one CPU thread: onnxruntime against eager PyTorch, in float and in 8 bits.

    OMP_NUM_THREADS=1 python benchmarks/onnx_speed.py

Both sides take turns in one process, and the clock is its CPU time. With one thread this is the
time of an idle machine, except for the caches.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from timing import take_turns
from torch import nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.apis import init_model  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.deploy.onnx.graph import build_onnx, check_installed, map_names
from okdhp_mm.deploy.onnx.quantize import quantize
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.student.config import student_config

if TYPE_CHECKING:
    import onnx
    import onnxruntime

CONFIGS = ('hrnet_w32_coco', 'mobilenetv2_coco', 'shufflenetv2_coco')
FOLDER = Path(__file__).parents[1] / 'configs' / 'okdhp'


def student_of(config: str) -> nn.Module:
    """Return the student of a training config, untrained."""
    return untrained(student_config(Config.fromfile(config), 0))


def untrained(cfg: Config) -> nn.Module:
    """Build the network of a stock config with random weights, on the CPU."""
    drop_pretrained(cfg.model)
    with tempfile.NamedTemporaryFile('w', suffix='.py') as file:
        file.write(cfg.pretty_text)
        file.flush()
        return init_model(file.name, None, device='cpu')


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a graph on one thread."""
    # Here, so that the script starts where it is missing, and says so.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )


def compare(config: str, decode: bool, rounds: int) -> str:
    """One line of the table."""
    student = student_of(config)
    width, height = map(int, student.head.decoder.input_size)
    images = torch.randn(1, 3, height, width)
    graph, _ = build_onnx(student, decode)
    small = quantize(graph, map_names(student), images)
    sides = {'eager': partial(student, images, None, mode='tensor')}
    for name, model in (('graph', graph), ('int8', small)):
        sides[name] = partial(session_of(model).run, None, {'input': images.numpy()})
    with torch.inference_mode():
        seconds = take_turns(sides, rounds, warm_up=3, clock=time.process_time)
    times = ''.join(f'{1000 * statistics.median(values):8.1f}ms' for values in seconds.values())
    return f'{Path(config).stem:20}{times}   ' + '   '.join(
        f'{middle:.2f} ({low:.2f} .. {high:.2f})'
        for low, middle, high in (ratios(seconds, name) for name in ('graph', 'int8'))
    )


def ratios(seconds: dict[str, list[float]], side: str) -> list[float]:
    """Quartiles of eager PyTorch's time to that of a side."""
    paired = zip(seconds['eager'], seconds[side], strict=True)
    return statistics.quantiles([a / b for a, b in paired], n=4)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', default=[f'{FOLDER / c}.py' for c in CONFIGS])
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--decode', action='store_true', help='decode in the graph, too')
    args = parser.parse_args()
    with errors_in_one_sentence():
        check_installed()
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Return the table, line by line."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    init_default_scope('mmpose')
    versions = (f'{name} {version(name)}' for name in ('torch', 'onnxruntime'))
    print(f'{", ".join(versions)}, one thread, batch 1')
    print(
        f'{"":20}{"eager":>10}{"graph":>10}{"int8":>10}'
        '   eager / graph and eager / int8, medians of rounds (quartiles)'
    )
    for config in args.configs:
        print(compare(config, args.decode, args.rounds))


if __name__ == '__main__':
    main()
