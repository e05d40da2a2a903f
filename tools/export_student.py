"""The same as `python -m okdhp_mm export`."""

import sys

from okdhp_mm.commands import run_command

if __name__ == '__main__':
    run_command('export', sys.argv[1:])
