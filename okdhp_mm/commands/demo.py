"""Train, compare, export and infer in minutes. Needs neither data nor a GPU."""

import warnings
from pathlib import Path

from ..cli.arguments import parse_command_line
from ..cli.error_exit import errors_in_one_sentence
from ..cli.options import add_cfg_options, merge_options
from ..demo.run import run_demo, set_data_root
from ..io.config import read_config
from ..io.shipped_configs import config_folder
from ..parser import command_parser


def main(arguments: list[str]) -> None:
    """Parse, run and print."""
    parser = command_parser(
        'demo',
        __doc__,
        '',
        '--out-dir first_try --cfg-options train_cfg.max_epochs=2',
    )
    parser.add_argument('--out-dir', default='demo_out', help='the folder for all that is written')
    add_cfg_options(parser)
    args = parse_command_line(parser, arguments)
    warnings.simplefilter('ignore')  # a newcomer cannot act on them
    with errors_in_one_sentence():
        cfg = read_config(config_folder() / 'okdhp' / 'demo.py')
        set_data_root(cfg, Path(args.out_dir) / 'data')
        merge_options(cfg, args.cfg_options)
        scores = run_demo(cfg, args.out_dir)
    print('\nAP on validation figures (branch0 is deployed; alone: same student, same budget):')
    for name, score in scores.items():
        print(f'  {name:10} {score:.3f}')
    print(
        f'\n{args.out_dir}/student/student.py and student.pth: branch 0, runs in stock mmpose'
        f'\n{args.out_dir}/predictions.jpg, heatmaps.jpg, scores.png: look at them'
    )
