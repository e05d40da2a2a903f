"""Convert every stock config of the installed mmpose, and count what is refused and why.

    python benchmarks/stock_configs.py                        # all of them
    python benchmarks/stock_configs.py --only hourglass cpm   # those with a word in their path
    python benchmarks/stock_configs.py --device cpu           # with real tensors, takes longer

Networks are built on torch's meta device, which has shapes but no values, and once for all configs
that have them. A config that is not converted there is tried again on the CPU. ViTPose needs
mmpretrain. The exit code is 1 if a conversion crashed.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from unittest.mock import patch

import mmengine
import torch
from torch import nn

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)  # isort: skip
import mmpose  # isort: skip
from okdhp_mm.errors import UserError
from okdhp_mm.models.backbones.branched import WHOLE
from okdhp_mm.models.heads.adapters import HeadAdapter
from okdhp_mm.models.heads.check_loss import check_loss
from okdhp_mm.recipes.convert import build, convert_config, default_split

STOCK = Path(mmpose.__file__).parent / '.mim' / 'configs'
CONVERTED, REFUSED, CRASHED = 'converted', 'refused', 'crashed'


@dataclass(frozen=True)
class Result:
    """Outcome of one conversion.

    Attributes:
        config: Path below the folder of stock configs.
        outcome: CONVERTED, REFUSED or CRASHED.
        reason: The split of a converted config, otherwise the error message.
    """

    config: str
    outcome: str
    reason: str


def stock_configs(words: Sequence[str]) -> list[str]:
    """Return the paths of all stock configs, or of those that contain one of the words."""
    files = [file.relative_to(STOCK) for file in sorted(STOCK.rglob('*.py'))]
    paths = [file.as_posix() for file in files if '_base_' not in file.parts]
    return [path for path in paths if not words or any(word in path for word in words)]


class Builder:
    """Builds networks on the meta device, each once."""

    def __init__(self):
        self.networks: dict[str, nn.Module] = {}

    def __call__(self, model: dict, stock: str) -> nn.Module:
        """Build the network of a model config, or return the equal one."""
        network = {key: value for key, value in model.items() if key != 'data_preprocessor'}
        backbone = model['backbone'].items()
        network['backbone'] = {key: value for key, value in backbone if key != 'init_cfg'}
        key = str(network)
        if key not in self.networks:
            self.networks[key] = build(model, stock)
        return self.networks[key]


class DefaultSplit:
    """The default split, found on the CPU and once per backbone and image size.

    Multiply-adds cannot be counted on the meta device.
    """

    def __init__(self):
        self.splits: dict[tuple[str, tuple[int, int]], str] = {}

    def __call__(self, network: nn.Module) -> str:
        """Return the default split of a network."""
        key = repr(network.backbone), tuple(network.head.decoder.input_size)
        if key not in self.splits:
            with torch.device('cpu'):
                on_cpu = copy.deepcopy(network).to_empty(device='cpu')
                self.splits[key] = default_split(on_cpu)
        return self.splits[key]


BUILDER, DEFAULT_SPLIT = Builder(), DefaultSplit()


@contextmanager
def for_meta() -> Iterator[None]:
    """Run what depends on values on the CPU."""

    def check_loss_on_cpu(adapter: HeadAdapter) -> None:
        with torch.device('cpu'):
            check_loss(adapter)

    head = 'okdhp_mm.models.heads.multi_branch_head'
    with (
        patch('okdhp_mm.recipes.convert.build', BUILDER),
        patch('okdhp_mm.recipes.convert.default_split', DEFAULT_SPLIT),
        patch(f'{head}.check_loss', check_loss_on_cpu),
    ):
        yield


def convert(config: str, device: str, folder: Path) -> Result:
    """Convert one stock config on a device."""
    # Not 'mmpose::...': mmengine would parse all metafiles of mmpose each time.
    stock = str(STOCK / config)
    try:
        with torch.device(device), for_meta() if device == 'meta' else nullcontext():
            done = convert_config(stock, folder / 'converted.py', force=True)
    except UserError as error:
        # Messages about the same problem must be equal to be counted together.
        return Result(config, REFUSED, str(error).replace(stock, 'it'))
    # The outcome of this benchmark; a user would see the traceback.
    except Exception as error:
        return Result(config, CRASHED, f'{type(error).__name__}: {error}')
    return Result(config, CONVERTED, done.split)


def results(configs: Sequence[str], device: str) -> Iterator[Result]:
    """Convert each config."""
    with tempfile.TemporaryDirectory(prefix='stock_configs_') as folder:
        for number, config in enumerate(configs, 1):
            started = time.monotonic()
            result = convert(config, device, Path(folder))
            if result.outcome != CONVERTED and device == 'meta':
                result = convert(config, 'cpu', Path(folder))
            seconds = time.monotonic() - started
            print(
                f'{number}/{len(configs)} {result.outcome} {config} ({seconds:.1f} s): '
                f'{result.reason.splitlines()[0]}',
                file=sys.stderr,
                flush=True,
            )
            yield result


def table(found: Sequence[Result]) -> str:
    """Return the results as Markdown: the counts, then every reason with its count."""
    whole = sum(each.outcome == CONVERTED and each.reason == WHOLE for each in found)
    counts = {kind: sum(each.outcome == kind for each in found) for kind in (CONVERTED, REFUSED)}
    crashed = sum(each.outcome == CRASHED for each in found)
    lines = [
        "| stock configs | converted | of these with split='whole' | refused | crashed |",
        '|---|---|---|---|---|',
        f'| {len(found)} | {counts[CONVERTED]} | {whole} | {counts[REFUSED]} | {crashed} |',
        '',
        '| configs | reason | example |',
        '|---|---|---|',
    ]
    groups = defaultdict(list)
    for each in found:
        if each.outcome != CONVERTED or each.reason == WHOLE:
            groups[each.outcome, each.reason].append(each.config)
    for (outcome, reason), configs in sorted(groups.items(), key=lambda group: -len(group[1])):
        text = ' '.join(reason.split()).replace('|', '\\|')
        lines.append(f'| {len(configs)} | {outcome}: {text} | {configs[0]} |')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', nargs='+', default=[], metavar='WORD')
    parser.add_argument('--device', choices=('meta', 'cpu'), default='meta')
    return parser.parse_args()


def main() -> None:
    """Convert the configs and print the tables."""
    args = parse_args()
    found = list(results(stock_configs(args.only), args.device))
    versions = f'mmpose {mmpose.__version__}, mmengine {mmengine.__version__}'
    print(f'{versions}, torch {torch.__version__}, {date.today()}:\n\n{table(found)}')
    sys.exit(any(each.outcome == CRASHED for each in found))


if __name__ == '__main__':
    main()
