"""Commands that continue from a training: resume it, export its student, find poses."""

from __future__ import annotations

import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ..engine.hooks import DurableCheckpointHook
from ..engine.model import model_of
from ..errors import interrupt_of
from ..evaluation.summary import branch_table, output_metrics
from ..models.branch_configs import ESTIMATOR, STOCK_ESTIMATOR
from ..parser import PROGRAM
from .overview import relative


def train_to_end(runner: Runner, surrounding: AbstractContextManager | None = None) -> None:
    """Train, and print the metrics of all branches and the next commands.

    Args:
        runner: Runner of the training.
        surrounding: Context to train in.

    Raises:
        KeyboardInterrupt: At Ctrl-C, with a sentence that names the last checkpoint and the command
            that resumes.
    """
    try:
        with surrounding or nullcontext():
            runner.train()
    except (Exception, KeyboardInterrupt) as error:
        if interrupt_of(error):
            raise KeyboardInterrupt(interrupted(runner)) from error
        raise
    if is_main_process():
        print('\n'.join(['', *filter(None, [branch_table(runner)]), *next_steps(runner)]))


def interrupted(runner: Runner) -> str:
    """Return the sentences for a training that Ctrl-C ended."""
    loop = runner.train_loop
    when = f'Interrupted after {loop.iter} of {loop.max_iters} steps.'
    hooks = (hook for hook in runner.hooks if isinstance(hook, DurableCheckpointHook))
    saved = next((hook for hook in hooks if hook.last_ckpt), None)
    if saved is None:
        return f'{when} No checkpoint was written yet, so a new training must start.'
    lost = loop.iter - saved.saved_iter
    steps = f'{lost} step{"" if lost == 1 else "s"} earlier'
    return (
        f'{when} The last good checkpoint is {saved.last_ckpt}, {steps}. To continue from it:\n'
        f'{resume_command(runner)}'
    )


def resume_command(runner: Runner) -> str:
    """Return the command that resumes the training from its last checkpoint."""
    if runner.launcher != 'none':
        return 'the same command with --resume at its end'
    arguments = sys.argv[1:]
    if Path(sys.argv[0]).stem == '__main__':
        arguments.remove('train')
    # The last --resume counts.
    if arguments[-1:] != ['--resume']:
        arguments.append('--resume')
    return command('train', *arguments)


def next_steps(runner: Runner) -> list[str]:
    """Return lines with the best checkpoint and the commands that use it."""
    lines = []
    outputs = output_metrics(runner)
    metrics = outputs.by_output.get(outputs.deployed)
    if metrics and not any(metrics):
        lines.append(
            f'{outputs.metric} is 0 in every validation: the student has learned nothing yet. '
            'Train longer, or see docs/how-to/troubleshooting.md.'
        )
    loop = runner.train_loop
    if getattr(loop, 'stop_training', False):
        lines.append(
            f'Stopped early, after {loop.iter} of {loop.max_iters} steps: the validations did not '
            'improve any more.'
        )
    info, metric = runner.message_hub.runtime_info, outputs.metric
    best = info.get('best_ckpt') or info.get(f'best_ckpt_{metric}')
    checkpoint = best or info.get('last_ckpt')
    if not checkpoint:
        return [*lines, 'No checkpoint was written: the config has no CheckpointHook.']
    lines.append(f'{"best" if best else "last"} checkpoint: {relative(checkpoint)}')
    if type(model_of(runner)).__name__ not in (ESTIMATOR, STOCK_ESTIMATOR):
        return lines
    # The copy of the config has --method and --cfg-options in it.
    name = runner.cfg.filename
    folder = relative(runner.work_dir)
    config = folder / (Path(name).name if name else f'{runner.timestamp}.py')
    student = folder / 'student'
    report = folder / 'report.html'
    lines += [f'report: {report}'] if report.exists() else []
    return [
        *lines,
        f'export: {command("export", config, relative(checkpoint), student)}',
        f'run:    {command("infer", "PICTURES", "--student", student)}',
    ]


def command(name: str, *arguments: object) -> str:
    """Return a command line of this package, quoted for the shell."""
    return shlex.join([*PROGRAM.split(), name, *map(str, arguments)])
