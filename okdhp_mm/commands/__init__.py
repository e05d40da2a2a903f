"""Commands of ``python -m okdhp_mm``. The scripts in ``tools/`` run the same ones."""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext
from dataclasses import dataclass

from ..env import noise, versions


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        module: Its module, which has ``main(arguments)``; imported only to run it, so that a
            command works where another one lacks a package.
        summary: One line for the list of commands.
    """

    module: str
    summary: str


COMMANDS = {
    'train': Command('okdhp_mm.commands.train', 'train a model, with or without distillation'),
    'test': Command('okdhp_mm.commands.test', 'evaluate every branch and the ensemble'),
    'export': Command('okdhp_mm.commands.export', 'write the student: config, weights, ONNX'),
    'infer': Command('okdhp_mm.commands.infer', 'find poses in images, a video or a camera'),
    'pseudo-label': Command(
        'okdhp_mm.commands.pseudo_label', 'label pictures with any pose model, for training'
    ),
    'track': Command('okdhp_mm.commands.track', 'give the persons in a video identities'),
    'convert': Command(
        'okdhp_mm.commands.convert', 'write a training config for own data or a stock config'
    ),
    'compare': Command('okdhp_mm.commands.compare', 'compare methods over seeds'),
    'gap': Command('okdhp_mm.commands.gap', 'measure whether distillation can help'),
    'demo': Command('okdhp_mm.commands.demo', 'see everything work in minutes, without data'),
    'doctor': Command('okdhp_mm.env.doctor', 'check the installation'),
}


def run_command(name: str, arguments: list[str]) -> None:
    """Run a command; exit if its status is not 0.

    Args:
        name: Key of :data:`COMMANDS`.
        arguments: Its arguments, without the name.
    """
    if name != 'doctor' and (problem := versions.mmpose_problem()):
        sys.exit(
            f'error: mmpose does not import ({problem}). `python -m okdhp_mm doctor` lists the '
            'commands that repair it.'
        )
    # The doctor must run without mmengine, which `quiet` needs.
    loud = name == 'doctor' or '--verbose' in arguments
    with nullcontext() if loud else noise.quiet_command():
        status = importlib.import_module(COMMANDS[name].module).main(arguments)
    if status:
        sys.exit(status)
