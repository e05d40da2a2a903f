"""The same as `python -m okdhp_mm compare`."""

import sys

from okdhp_mm.commands import run_command

if __name__ == '__main__':
    run_command('compare', sys.argv[1:])
