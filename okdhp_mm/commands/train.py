"""Train a model, with or without distillation. Takes the arguments of mmpose's train.py too."""

import argparse

from ..cli.arguments import parse_command_line, positive
from ..cli.config import add_runner_arguments, load_config
from ..cli.error_exit import errors_in_one_sentence
from ..cli.runner import build_runner, traceable_amp
from ..cli.start import add_start_arguments, choose_start, choose_teaching
from ..data.files import check_data
from ..engine.distributed import process_group
from ..engine.runner import DurableRunner
from ..io.checkpoint import use_safe_loader
from ..io.config import require_key
from ..parser import command_parser
from ..recipes.schedule import stop_early
from ..report import reporting
from ..terminal import TerminalRunner, train_to_end


def parse_args(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments of mmpose's train.py and those of this package."""
    parser = command_parser(
        'train',
        __doc__,
        'my_okdhp.py --work-dir work_dirs/first',
        'okdhp/resnet18_mpii.py --method dml --cfg-options train_dataloader.batch_size=16',
        verbose='print the complete log instead of the progress',
    )
    add = parser.add_argument
    add('config', help='training config')
    add('--method', help='distill by this method, a name in configs/_base_/methods or a file like '
        "those; 'alone' trains the student without distillation; the complete config is written to "
        'WORK_DIR_METHOD: test and export with that one')  # fmt: skip
    add_runner_arguments(parser)
    add('--resume', nargs='?', const='auto', help='resume from this checkpoint, or from the latest '
        'in the work directory if none given')  # fmt: skip
    add('--amp', action='store_true', help='train with automatic mixed precision')
    add('--no-validate', action='store_true', help='do not evaluate in between')
    add('--auto-scale-lr', action='store_true',
        help='scale the learning rate by the actual over the original batch size')  # fmt: skip
    add('--patience', type=positive, metavar='N',
        help='stop after N validations in a row without a gain of the deployed branch')  # fmt: skip
    add('--no-report', action='store_true', help='write no WORK_DIR/report.html')
    add_start_arguments(parser)
    return parse_command_line(parser, arguments)


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
    choose_start(cfg, args)
    choose_teaching(cfg, args)
    if args.no_validate:
        # Done last, because --cfg-options may set keys of the validation.
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.patience:
        stop_early(cfg, args.patience)
    return cfg


def main(arguments: list[str]) -> None:
    """Parse and run."""
    args = parse_args(arguments)
    kind = DurableRunner if args.verbose else TerminalRunner
    with errors_in_one_sentence():
        cfg = config_from(args)
        check_data(cfg, 'train', 'val')
        use_safe_loader()
        with process_group(cfg), traceable_amp():
            runner = build_runner(cfg, 'train', 'val', kind=kind)
            train_to_end(runner, reporting(runner, not args.no_report))
