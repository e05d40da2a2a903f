"""Parse a command line, and the types of its arguments."""

from __future__ import annotations

import argparse
import math
import os


def parse_command_line(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments of a command, with ``~`` expanded in every path.

    Shells leave it as it is after ``--option=`` and ``key=``, and in quotes.
    """
    return parser.parse_args([expand_home(text) for text in arguments])


def expand_home(text: str) -> str:
    """Return an argument with ``~`` expanded at its start or after its first ``=``."""
    name, equals, value = text.partition('=')
    return os.path.expanduser(name) + equals + os.path.expanduser(value)


def finite(text: str) -> float:
    """Return an argument that is a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'{text} is not a finite number')
    return value


def positive(text: str) -> int:
    """Return an argument that is a whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not above zero')
    return value


def above_zero(text: str) -> float:
    """Return an argument that is a number above zero."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f'{text} is not above zero')
    return value


def image_size(text: str) -> tuple[int, int]:
    """Return an argument such as ``192x256`` as width and height."""
    width, _, height = text.partition('x')
    if not width.isdecimal() or not height.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is not WIDTHxHEIGHT, e.g. 128x128')
    return int(width), int(height)
