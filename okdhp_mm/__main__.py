"""``python -m okdhp_mm COMMAND ...``: run a command, or list the commands."""

from __future__ import annotations

import argparse
import sys

from .commands import COMMANDS, run_command
from .parser import PROGRAM

USAGE_ERROR = 2
"""Exit status for a wrong command line, as in argparse."""


def main(arguments: list[str]) -> None:
    """Run the command that the first argument names."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=f'{PROGRAM} COMMAND --help explains a command.',
        epilog=list_commands(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('command', metavar='COMMAND', help='one of the commands below')
    # Everything after the command is its own.
    name = parser.parse_args(arguments[:1] or ['--help']).command
    if name not in COMMANDS:
        known = ', '.join(COMMANDS)
        print(f'error: The command {name!r} does not exist. Use one of: {known}.', file=sys.stderr)
        sys.exit(USAGE_ERROR)
    run_command(name, arguments[1:])


def list_commands() -> str:
    """Return one line per command."""
    lines = [f'  {name:12} {command.summary}' for name, command in COMMANDS.items()]
    return '\n'.join(['commands:', *lines])


if __name__ == '__main__':
    main(sys.argv[1:])
