"""The result of a check, and the table of all results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        check: What was tried, in a few words.
        runs: Number of tries.
        failures: Number of tries that ended in another way than they should.
        example: One failure, in one line.
    """

    check: str
    runs: int
    failures: int
    example: str = ''


def row(check: str, outcomes: Iterable[str | None]) -> Row:
    """Count the outcomes of a check: None for success, else a description of the failure."""
    runs, failed = 0, []
    for outcome in outcomes:
        runs += 1
        if outcome is not None:
            failed.append(outcome)
            print(f'{check}: {outcome}', file=sys.stderr, flush=True)
    return Row(check, runs, len(failed), failed[0] if failed else '')


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ['| check | runs | failures | example of a failure |', '|---|---|---|---|']
    for each in rows:
        example = ' '.join(each.example.split()).replace('|', '\\|')
        lines.append(f'| {each.check} | {each.runs} | {each.failures} | {example} |')
    return '\n'.join(lines)
