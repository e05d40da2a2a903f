"""Compare the loss on trained persons and on others. Distillation helps where they differ.

The network may be the plain student of a stock config, trained before anything is distilled, or one
with branches, whose branch 0 is measured.
"""

from ..cli.arguments import parse_command_line
from ..cli.error_exit import errors_in_one_sentence
from ..cli.options import add_cfg_options, merge_options
from ..data.files import as_data_error, check_data
from ..io.config import read_config
from ..parser import command_parser
from ..student.generalization_gap import generalization_gap


def main(arguments: list[str]) -> None:
    """Parse, measure and say what it means."""
    parser = command_parser(
        'gap',
        __doc__,
        'plain.py work_dirs/plain/epoch_210.pth',
        'okdhp/resnet18_mpii.py best.pth --persons 1000',
    )
    parser.add_argument('config', help='training config')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--persons', type=int, default=500, help='of each kind (default: 500)')
    add_cfg_options(parser)
    args = parse_command_line(parser, arguments)
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        merge_options(cfg, args.cfg_options)
        check_data(cfg, 'train', 'val')
        with as_data_error(cfg, 'train', 'val'):
            gap = generalization_gap(cfg, args.checkpoint, args.persons)
    print(f'loss on persons trained on: {gap.train:.3e}')
    print(f'loss on others:             {gap.val:.3e}, {gap.ratio:.2f} times as large')
    print('Distillation gained much at 1.4, less at 1.2, nothing at 1.1: see docs/benchmarks.md')
