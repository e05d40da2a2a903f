"""Train a model, with or without distillation: mmpose's own command line."""

import argparse

from mmengine.dist import is_main_process

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)
from okdhp_mm.cli import (
    add_runner_arguments,
    build_runner,
    errors_in_one_sentence,
    load_config,
    merge_options,
    parse_command_line,
    traceable_amp,
)
from okdhp_mm.data.files import check_data
from okdhp_mm.engine.distributed import process_group
from okdhp_mm.evaluation.summary import branch_table
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.io.config import drop_pretrained, require_key
from okdhp_mm.report import reporting


def parse_args() -> argparse.Namespace:
    """Parse the arguments of mmpose's train.py, --method and --from-scratch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='training config')
    parser.add_argument(
        '--method',
        help='distill by this method, a name in configs/_base_/methods or a file like those; the '
        'complete config is written to WORK_DIR_METHOD: test and export with that one',
    )
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or from the latest in the work directory if none given',
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate in between')
    help = 'scale the learning rate by the actual over the original batch size'
    parser.add_argument('--auto-scale-lr', action='store_true', help=help)
    parser.add_argument('--no-report', action='store_true', help='write no WORK_DIR/report.html')
    parser.add_argument('--from-scratch', action='store_true', help='drop pretrained weights')
    return parse_command_line(parser)


def config_from(args: argparse.Namespace):
    """Return the config with the arguments merged into it."""
    cfg = load_config(args, args.method)
    if args.amp:
        optim_wrapper = require_key(cfg, 'optim_wrapper', '--amp', 'dict(optimizer=...)')
        optim_wrapper.type = 'AmpOptimWrapper'
        optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        size = 'dict(base_batch_size=...)'
        require_key(cfg, 'auto_scale_lr', '--auto-scale-lr', size).enable = True
    if args.from_scratch:
        drop_pretrained(cfg.model)
        if not cfg.get('resume'):
            cfg.load_from = None
    merge_options(cfg, args.cfg_options)
    if args.no_validate:
        # Last: options can name the data of an evaluation that does not take place.
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


def main() -> None:
    """Parse and run."""
    args = parse_args()
    with errors_in_one_sentence():
        cfg = config_from(args)
        check_data(cfg, 'train', 'val')
        use_safe_loader()
        with process_group(cfg), traceable_amp():
            runner = build_runner(cfg, 'train', 'val')
            with reporting(runner, not args.no_report):
                runner.train()
            if is_main_process():
                print(branch_table(runner))


if __name__ == '__main__':
    main()
