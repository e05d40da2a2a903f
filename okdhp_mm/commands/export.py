"""Export a branch, or a student trained alone, as a stock mmpose config and checkpoint."""

from pathlib import Path

from ..cli.arguments import parse_command_line
from ..cli.error_exit import errors_in_one_sentence
from ..cli.options import add_cfg_options, merge_options
from ..deploy.onnx.export import check_export, export_together, find_graphs, write_graphs
from ..io.config import read_config
from ..models.branch_configs import config_branches
from ..parser import command_parser
from ..structures import branch_name
from ..student.export import Export
from ..student.zoo import export_all
from ..video.dkd.export import export_dkd


def branch(text: str) -> int | str:
    """Parse a branch's index, or 'all'."""
    return text if text == 'all' else int(text)


def main(arguments: list[str]) -> None:
    """Parse, export and say what it costs."""
    parser = command_parser(
        'export',
        __doc__,
        'my_okdhp.py work_dirs/my_okdhp/best.pth student --onnx --decode',
        'my_okdhp.py work_dirs/my_okdhp/best.pth students --branch all',
    )
    add = parser.add_argument
    add('config', help='training config')
    add('checkpoint', help='any checkpoint of the training')
    add('out_dir', type=Path, help='the folder for student.py and student.pth')
    add(
        '--branch',
        type=branch,
        help="an index (default: the deployed one, test_cfg.branch), or 'all' for a folder each "
        'and students.csv with their costs and metrics',
    )
    add('--force', action='store_true', help='overwrite a student that is there')
    add('--onnx', action='store_true', help='write student.onnx too')
    add('--decode', action='store_true', help='the graph gives keypoints and scores, not maps')
    add('--check-images', metavar='FOLDER', help='pictures of single persons, to compare the graph '
        'with PyTorch (default: drawn figures)')  # fmt: skip
    add(
        '--int8',
        metavar='FOLDER',
        help='write student_int8.onnx too, in 8 bits; pictures of single persons show '
        'how large its numbers get, and tell what is lost',
    )
    add_cfg_options(parser)
    args = parse_command_line(parser, arguments)
    if (args.decode or args.check_images or args.int8) and not args.onnx:
        parser.error('--decode, --check-images and --int8 are for --onnx')
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        merge_options(cfg, args.cfg_options)
        if cfg.model.type == 'DKDPoseEstimator':
            print(*export_dkd(cfg, args.checkpoint, args.out_dir, args.force), sep='\n')
            return
        if args.onnx:
            check_export(cfg, args.decode, args.check_images, args.int8)
        graphs = args.onnx, args.decode, args.check_images, args.int8
        if args.branch == 'all':
            names = map(branch_name, range(len(config_branches(cfg.model))))
            folders = [args.out_dir / name for name in names]
            old = find_graphs(folders)
            table = export_all(cfg, args.checkpoint, args.out_dir, args.force)
            print(f'{table}:\n{table.read_text()}')
            lines = [line for folder in folders for line in write_graphs(folder, folder, *graphs)]
        else:
            old = find_graphs([args.out_dir])
            export, lines = export_together(
                cfg, args.checkpoint, args.out_dir, args.branch, args.force, *graphs
            )
            print_student(export)
        lines = [f'{graph} was of an earlier export and is removed.' for graph in old] + lines
        print(*lines, sep='\n', end='\n' if lines else '')


def print_student(export: Export) -> None:
    """Print what a student costs and where it runs."""
    name = 'student' if export.branch is None else f'student (branch {export.branch})'
    print(f'{name}: {export.student}')
    print(f'stock network:      {export.stock}')
    where = 'mmpose with okdhp_mm installed' if export.needs_package else 'stock mmpose'
    print(f'{export.config} and {export.checkpoint} run in {where}.')
