"""Compare methods over seeds, on a config of yours or between finished trainings.

With a config, train the student alone and with each method, once for each seed. The same command
goes on after an interruption. Write compare.csv, compare.md, compare.tex and compare.png.
"""

import sys
from pathlib import Path

from ..cli.arguments import parse_command_line
from ..cli.error_exit import errors_in_one_sentence
from ..compare import check_comparable, plan, read_runs, train_all, write_comparison
from ..errors import UserError
from ..io.checkpoint import use_safe_loader
from ..parser import command_parser

TRAIN = [sys.executable, '-m', 'okdhp_mm', 'train']
METHODS, SEEDS = ['okdhp'], [0, 1, 2]
"""Defaults of ``--methods`` and ``--seeds``."""


def main(arguments: list[str]) -> None:
    """Parse, train what is missing, and write the comparison."""
    parser = command_parser(
        'compare',
        __doc__,
        'my_okdhp.py --methods okdhp dml pcl --seeds 0 1 2',
        'work_dirs/a work_dirs/b work_dirs/c --out work_dirs/abc',
    )
    add = parser.add_argument
    add('runs', nargs='+', metavar='RUN', help='a training config, or work directories')
    help = 'names in configs/_base_/methods, or files like those (default: okdhp)'
    add('--methods', nargs='+', help=help)
    add('--seeds', nargs='+', type=int, help='seeds of the trainings (default: 0 1 2)')
    add('--out', help='folder of the results (default: work_dirs/compare, or compare_CONFIG)')
    args = parse_command_line(parser, arguments)
    with errors_in_one_sentence():
        first = Path(args.runs[0])
        if first.suffix == '.py':
            if len(args.runs) > 1:
                raise UserError(f'{args.runs[1]} is one too many: name one config, or only runs.')
            use_safe_loader()
            out = Path(args.out or f'work_dirs/compare_{first.stem}')
            planned = plan(str(first), args.methods or METHODS, args.seeds or SEEDS, out)
            runs = train_all(planned, TRAIN)
        else:
            if args.methods or args.seeds:
                raise UserError('--methods and --seeds need a config (.py) to train.')
            runs, out = read_runs(args.runs), Path(args.out or 'work_dirs/compare')
        check_comparable(runs)
        print(f'\n{write_comparison(runs, out)}\nWritten to {out}/compare.csv, .md, .tex and .png')
