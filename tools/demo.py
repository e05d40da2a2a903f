"""See it work in minutes: train, compare, export, infer, draw; no data and no GPU needed."""

import argparse
import warnings
from pathlib import Path

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import add_cfg_options, errors_in_one_sentence, merge_options, parse_command_line
from okdhp_mm.demo.run import put_data, run_demo
from okdhp_mm.io.config import read_config

CONFIG = Path(__file__).parents[1] / 'configs' / 'okdhp' / 'demo.py'


def main() -> None:
    """Parse, run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out-dir', default='demo_out', help='the folder for all that is written')
    add_cfg_options(parser)
    args = parse_command_line(parser)
    warnings.simplefilter('ignore')  # of the hosts, about matters that a newcomer has no part in
    with errors_in_one_sentence():
        cfg = read_config(CONFIG)
        put_data(cfg, Path(args.out_dir) / 'data')
        merge_options(cfg, args.cfg_options)
        scores = run_demo(cfg, args.out_dir)
    print('\nAP on validation figures (branch0 is deployed; alone: same student, same budget):')
    for name, score in scores.items():
        print(f'  {name:10} {score:.3f}')
    print(
        f'\n{args.out_dir}/student/student.py and student.pth: branch 0, runs in stock mmpose'
        f'\n{args.out_dir}/predictions.jpg, heatmaps.jpg, scores.png: look at them'
    )


if __name__ == '__main__':
    main()
