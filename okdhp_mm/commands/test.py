"""Evaluate every branch and the ensemble. Takes the arguments of mmpose's test.py."""

import argparse

from mmengine.dist import is_main_process

from ..cli.arguments import parse_command_line
from ..cli.config import add_runner_arguments, load_config
from ..cli.error_exit import errors_in_one_sentence
from ..cli.options import merge_options
from ..cli.runner import build_runner
from ..data.files import check_data
from ..engine import BranchedCheckpointHook, SaveMetricsHook
from ..engine.distributed import process_group
from ..evaluation.evaluator_config import add_metric
from ..evaluation.summary import branch_table
from ..io.checkpoint import use_safe_loader
from ..io.config import require_key
from ..parser import command_parser


def parse_args(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments of mmpose's test.py."""
    parser = command_parser(
        'test',
        __doc__,
        'my_okdhp.py work_dirs/my_okdhp/best.pth',
        'student/student.py student/student.pth --out metrics.json',
    )
    parser.add_argument('config', help='training or student config')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_runner_arguments(parser)
    parser.add_argument('--out', help='the file for the metrics, .json, .yaml or .pkl')
    parser.add_argument('--dump', help='the .pkl file for the predictions')
    parser.add_argument('--badcase', action='store_true', help='analyze the worst predictions')
    return parse_command_line(parser, arguments)


def config_from(args: argparse.Namespace):
    """Return the config with the arguments merged into it."""
    cfg = load_config(args)
    # Merge first, because --dump changes the keys of the evaluator.
    merge_options(cfg, args.cfg_options)
    cfg.load_from = args.checkpoint
    cfg.resume = False  # the config of a resumed training has True
    if args.badcase:
        hook = "dict(type='BadCaseAnalysisHook')"
        badcase = require_key(cfg, 'default_hooks.badcase', '--badcase', hook)
        badcase.update(enable=True, show=args.show, interval=args.interval)
        by_loss = badcase.get('metric_type', 'loss') == 'loss'
        if 'metric' not in badcase:
            key = 'model.head.loss' if by_loss else 'test_evaluator'
            badcase.metric = require_key(cfg, key, '--badcase')
    if args.dump:
        dump = dict(type='DurableDumpResults', out_file_path=args.dump)
        cfg.test_evaluator = add_metric(
            require_key(cfg, 'test_evaluator', '--dump'), dump, '--dump'
        )
    return cfg


def main(arguments: list[str]) -> None:
    """Parse and run."""
    args = parse_args(arguments)
    with errors_in_one_sentence():
        cfg = config_from(args)
        example = 'val_dataloader, test_evaluator=val_evaluator and test_cfg=dict()'
        require_key(cfg, 'test_dataloader', 'A test', example)
        check_data(cfg, 'test')
        use_safe_loader()
        with process_group(cfg):
            runner = build_runner(cfg, 'test')
            runner.register_hook(BranchedCheckpointHook(), 'HIGHEST')
            if args.out and is_main_process():
                runner.register_hook(SaveMetricsHook(args.out), 'LOWEST')
            runner.test()
            if is_main_process():
                print(branch_table(runner, 'test'))
