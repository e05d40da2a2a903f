"""Print docs/reference/cli.md: run ``python -m okdhp_mm.commands.reference``."""

from __future__ import annotations

import importlib
import io
import os
from contextlib import redirect_stdout

from ..env import noise
from . import COMMANDS

WIDTH = 100
PAGE = """\
# Command line

{commands}

`python -m okdhp_mm.commands.reference > docs/reference/cli.md` writes this page. A test checks that
it is current."""
COMMAND = """\
## {name}

```text
{text}
```"""


def help_of(name: str) -> str:
    """Return the help of a command without its usage, in lines of at most 100 columns.

    Python versions print the usage differently.

    Args:
        name: Key of :data:`~okdhp_mm.commands.COMMANDS`.
    """
    before = os.environ.get('COLUMNS')
    os.environ['COLUMNS'] = str(WIDTH)  # argparse reads it
    printed = io.StringIO()
    try:
        with noise.quiet(), redirect_stdout(printed):
            importlib.import_module(COMMANDS[name].module).main(['--help'])
    except SystemExit:
        pass
    finally:
        del os.environ['COLUMNS']
        if before is not None:
            os.environ['COLUMNS'] = before
    return printed.getvalue().partition('\n\n')[2].rstrip()


def page() -> str:
    """Return the page with the help of all commands."""
    parts = [COMMAND.format(name=name, text=help_of(name)) for name in COMMANDS]
    return PAGE.format(commands='\n\n'.join(parts))


if __name__ == '__main__':
    print(page())
