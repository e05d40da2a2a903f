"""Argument parser of a command. Imports nothing but the standard library."""

from __future__ import annotations

import argparse

PROGRAM = 'python -m okdhp_mm'
VERBOSE = 'print the messages of mmengine, mmdet and the COCO tools too'


def command_parser(
    command: str, description: str, *examples: str, verbose: str | None = VERBOSE
) -> argparse.ArgumentParser:
    """Return a parser whose help ends with examples.

    Args:
        command: Name of the command, e.g. 'train'.
        description: Description of the command.
        examples: Command lines, without the program and the name of the command.
        verbose: Help of ``--verbose``, which :func:`~.commands.run_command` acts on; None leaves
            it out.
    """
    lines = [f'  {PROGRAM} {command} {example}'.rstrip() for example in examples]
    parser = argparse.ArgumentParser(
        prog=f'{PROGRAM} {command}',
        description=description,
        epilog='\n'.join(['examples:', *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if verbose:
        parser.add_argument('--verbose', action='store_true', help=verbose)
    return parser


def refuse_options(
    parser: argparse.ArgumentParser, args: argparse.Namespace, group: argparse._ArgumentGroup
) -> None:
    """End with an error if an option of a group was given, because it would have no effect."""
    given = [a for a in group._group_actions if getattr(args, a.dest) != a.default]
    if names := ', '.join(action.option_strings[0] for action in given):
        parser.error(f'{names}: only for "{group.title}", see --help')
