"""The same as `python -m okdhp_mm pseudo-label`."""

import sys

from okdhp_mm.commands import run_command

if __name__ == '__main__':
    run_command('pseudo-label', sys.argv[1:])
