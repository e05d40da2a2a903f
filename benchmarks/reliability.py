"""Try to break the tools: crafted and damaged files, kills, full disks.

    python benchmarks/reliability.py                             # everything, takes an hour
    python benchmarks/reliability.py --checks fuzz --runs 20     # a sample of one check

Prints each failure and each row when it is there, and a Markdown table at the end. The exit code is
1 if a run ended in another way than it should.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from datetime import date
from importlib import import_module
from pathlib import Path

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)  # isort: skip
from reliability.rows import table

CHECKS = ('crafted', 'canary', 'fuzz', 'disk', 'kills')
"""Modules of the folder ``reliability``, in the order of the table."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--checks', nargs='+', choices=CHECKS, default=CHECKS)
    parser.add_argument('--runs', type=int, help='runs per check (default: as many as it has)')
    return parser.parse_args()


def main() -> None:
    """Run the checks and print their table."""
    args = parse_args()
    rows = []
    for name in args.checks:
        module = import_module(f'reliability.{name}')
        with tempfile.TemporaryDirectory(prefix=f'reliability_{name}_') as folder:
            for row in module.check(args.runs or module.RUNS, Path(folder)):
                print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
                rows.append(row)
    command = shlex.join(['python', 'benchmarks/reliability.py', *sys.argv[1:]])
    print(f'`{command}`, {date.today()}:\n\n{table(rows)}')
    sys.exit(any(row.failures for row in rows))


if __name__ == '__main__':
    main()
