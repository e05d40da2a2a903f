"""Cut one branch out of a trained model: a stock mmpose config and checkpoint."""

import argparse

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import add_cfg_options, errors_in_one_sentence, read_config
from okdhp_mm.export import export_student


def main() -> None:
    """Parse, export and say what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='training config')
    parser.add_argument('checkpoint', help='any checkpoint of the training')
    parser.add_argument('out_dir', help='the folder for student.py and student.pth')
    parser.add_argument('--branch', type=int, help='default: the deployed one, test_cfg.branch')
    parser.add_argument('--force', action='store_true', help='overwrite a student that is there')
    add_cfg_options(parser)
    args = parser.parse_args()
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        export = export_student(cfg, args.checkpoint, args.out_dir, args.branch, args.force)
    print(f'student (branch {export.branch}): {export.student}')
    print(f'stock network:      {export.stock}')
    print(f'{export.config} and {export.checkpoint} run in stock mmpose.')


if __name__ == '__main__':
    main()
