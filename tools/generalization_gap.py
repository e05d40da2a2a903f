"""Compare a network's loss on persons trained on and on others: is there room for distillation?

    python tools/generalization_gap.py CONFIG CHECKPOINT

The network may be the plain student of a stock config, trained before anything is distilled, or one
with branches, whose branch 0 is measured.
"""

import argparse

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import add_cfg_options, errors_in_one_sentence, merge_options, parse_command_line
from okdhp_mm.data.files import as_data_error, check_data
from okdhp_mm.io.config import read_config
from okdhp_mm.student.generalization_gap import generalization_gap


def main() -> None:
    """Parse, measure and say what it means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='training config')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--persons', type=int, default=500, help='of each kind (default: 500)')
    add_cfg_options(parser)
    args = parse_command_line(parser)
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        merge_options(cfg, args.cfg_options)
        check_data(cfg, 'train', 'val')
        with as_data_error(cfg, 'train', 'val'):
            gap = generalization_gap(cfg, args.checkpoint, args.persons)
    print(f'loss on persons trained on: {gap.train:.3e}')
    print(f'loss on others:             {gap.val:.3e}, {gap.ratio:.2f} times as large')
    print('Distillation gained much at 1.4, less at 1.2, nothing at 1.1: see docs/benchmarks.md')


if __name__ == '__main__':
    main()
