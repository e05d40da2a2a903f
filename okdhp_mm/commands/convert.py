"""Write a training config for own annotations, or for a stock config of mmpose."""

import argparse
from pathlib import Path

from ..cli.arguments import image_size, parse_command_line, positive
from ..cli.error_exit import errors_in_one_sentence
from ..cli.start import PRETRAINED
from ..parser import command_parser, refuse_options
from ..recipes.convert import convert_config
from ..recipes.own_data import OwnData, write_own_config
from ..recipes.students import STUDENTS

STOCK = 'body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'


def parse_args(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = command_parser(
        'convert',
        __doc__,
        '--coco train.json --images photos -o my_okdhp.py',
        f'mmpose::{STOCK} -o res50_okdhp.py',
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('config', nargs='?', help="stock config: a path or 'mmpose::...'")
    source.add_argument(
        *('--coco', '--csv', '--label-studio', '--cvat'), dest='labels', type=Path, metavar='FILE',
        help='own annotations: COCO JSON, CSV of DeepLabCut or Lightning Pose, JSON of Label '
        'Studio, XML of CVAT (the file decides, not the name of the option)'
    )  # fmt: skip
    parser.add_argument('-o', '--out', required=True, help='the training config to write')
    parser.add_argument('--method', help='name in configs/_base_/methods, or a file like those '
        '(default: okdhp; for own annotations, the one that suits their number)')  # fmt: skip
    parser.add_argument('--force', action='store_true', help='overwrite existing files')
    own = parser.add_argument_group('own annotations')
    own.add_argument('--images', type=Path, help='folder of the pictures')
    own.add_argument('--val', type=Path, help='annotations to validate on (default: a fifth)')
    own.add_argument('--val-images', type=Path, help='folder of their pictures')
    own.add_argument('--student', default='mobilenetv2', help=', '.join(STUDENTS))
    own.add_argument('--input-size', type=image_size, metavar='WxH', help='e.g. 128x128')
    own.add_argument('--pretrained', metavar='FILE|torchvision|timm', help=PRETRAINED)
    own.add_argument('--epochs', type=positive, help='default: fits the number of persons')
    own.add_argument('--batch-size', type=positive, help='default: fits the number of persons')
    own.add_argument('--no-flip', action='store_true', help='do not train on mirrored pictures')
    own.add_argument('--no-check', action='store_true', help='do not decode all pictures first')
    stock = parser.add_argument_group('stock config')
    stock.add_argument('--branches', type=int, default=3, help='number (default: 3)')
    stock.add_argument('--split', help="split point or 'whole' (default: half of the work)")
    stock.add_argument(
        '--teacher', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='of an offline method (fpd)'
    )
    args = parse_command_line(parser, arguments)
    if not args.config and not args.images:
        parser.error('--images is missing: name the folder of the pictures')
    refuse_options(parser, args, own if args.config else stock)
    return args


def own_data(args: argparse.Namespace) -> None:
    """Write the config for own annotations and print its summary."""
    names = ('images', 'val', 'val_images', 'student', 'input_size', 'method', 'pretrained')
    given = {name: getattr(args, name) for name in (*names, 'epochs', 'batch_size', 'force')}
    given |= dict(flip=not args.no_flip, check=not args.no_check)
    done = write_own_config(OwnData(args.labels, **given), args.out)
    print('\n'.join(done.lines))
    print(f'written: {done.config}\nnext: python -m okdhp_mm train {done.config}')


def stock_config(args: argparse.Namespace) -> None:
    """Convert a stock config and print its costs."""
    arguments = args.branches, args.split, args.force, args.method, args.teacher
    done = convert_config(args.config, args.out, *arguments)
    print(f'{done.config}: {done.branches} branches, split={done.split!r}')
    if done.split == 'whole' and args.split is None:
        print(
            'warning: this backbone has no split points, so the branches differ only in their '
            'heads. Students gained nothing from that in our measurements (docs/benchmarks.md).'
        )
    print('possible splits:', ', '.join([*done.points, 'whole']))
    trained, stock = done.trained_parameters / 1e6, done.stock_parameters / 1e6
    print(f'parameters: {trained:.2f} M in training, {stock:.2f} M in every student')


def main(arguments: list[str]) -> None:
    """Parse and write."""
    args = parse_args(arguments)
    with errors_in_one_sentence():
        stock_config(args) if args.config else own_data(args)
