"""Make a training config with branches of a stock one: most of mmpose's heatmap and SimCC ones."""

import argparse

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import errors_in_one_sentence, parse_command_line
from okdhp_mm.convert import convert_config


def main() -> None:
    """Parse, convert and say what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="stock config, a path or a name like 'mmpose::...'")
    parser.add_argument('-o', '--out', required=True, help='the training config to write')
    parser.add_argument('--branches', type=int, default=3, help='how many (default: 3)')
    parser.add_argument(
        '--split',
        help="where they part, or 'whole' (default: half of the backbone's multiply-adds shared)",
    )
    parser.add_argument(
        '--method', help='a name in configs/_base_/methods (default: okdhp), or a file like those'
    )
    parser.add_argument(
        '--teacher', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='of an offline method (fpd)'
    )
    parser.add_argument('--force', action='store_true', help='overwrite a config that is there')
    args = parse_command_line(parser)
    with errors_in_one_sentence():
        done = convert_config(
            args.config,
            args.out,
            args.branches,
            args.split,
            args.force,
            args.method,
            args.teacher,
        )
    print(f'{done.config}: {done.branches} branches, split={done.split!r}')
    print(f'possible splits: {", ".join([*done.points, "whole"])}')
    print(f'parameters: {done.trained_parameters / 1e6:.2f} M in training, '
          f'{done.stock_parameters / 1e6:.2f} M in every student')  # fmt: skip


if __name__ == '__main__':
    main()
