"""Argument parser of a command. Imports nothing but the standard library."""

from __future__ import annotations

import argparse

PROGRAM = 'python -m okdhp_mm'


def command_parser(command: str, description: str, *examples: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with examples.

    Args:
        command: Name of the command, e.g. 'train'.
        description: What it does.
        examples: Command lines, without the program and the name of the command.
    """
    lines = [f'  {PROGRAM} {command} {example}'.rstrip() for example in examples]
    return argparse.ArgumentParser(
        prog=f'{PROGRAM} {command}',
        description=description,
        epilog='\n'.join(['examples:', *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
