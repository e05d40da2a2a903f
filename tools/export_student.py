"""Cut one branch, or each of them, out of a trained model: stock mmpose configs and checkpoints."""

import argparse

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import add_cfg_options, errors_in_one_sentence, read_config
from okdhp_mm.export import export_student
from okdhp_mm.menu import export_menu


def branch(text: str) -> int | str:
    """A branch's index, or 'all'."""
    return text if text == 'all' else int(text)


def main() -> None:
    """Parse, export and say what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='training config')
    parser.add_argument('checkpoint', help='any checkpoint of the training')
    parser.add_argument('out_dir', help='the folder for student.py and student.pth')
    parser.add_argument(
        '--branch',
        type=branch,
        help="an index (default: the deployed one, test_cfg.branch), or 'all' for a folder each "
        'and a menu of what they cost and achieve',
    )
    parser.add_argument('--force', action='store_true', help='overwrite a student that is there')
    add_cfg_options(parser)
    args = parser.parse_args()
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        if args.branch == 'all':
            menu = export_menu(cfg, args.checkpoint, args.out_dir, args.force)
            print(f'{menu}:\n{menu.read_text()}')
            return
        export = export_student(cfg, args.checkpoint, args.out_dir, args.branch, args.force)
    print(f'student (branch {export.branch}): {export.student}')
    print(f'stock network:      {export.stock}')
    where = 'mmpose with okdhp_mm installed' if export.needs_package else 'stock mmpose'
    print(f'{export.config} and {export.checkpoint} run in {where}.')


if __name__ == '__main__':
    main()
