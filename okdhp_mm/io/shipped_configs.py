"""Configs that come with the package, found by their names."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..errors import UserError

PACKAGE = Path(__file__).parents[1]


def config_folder() -> Path:
    """Return the folder ``configs`` of the installed package, or of the checkout."""
    installed = PACKAGE / '.mim' / 'configs'
    return installed if installed.is_dir() else PACKAGE.parent / 'configs'


def config_names() -> list[str]:
    """Return the names of all training configs of the package, e.g. ``okdhp/demo.py``."""
    folder = config_folder()
    return sorted(str(file.relative_to(folder)) for file in folder.glob('[!_]*/*.py'))


def find_config(name: str | Path) -> Path:
    """Return the file of a config.

    Args:
        name: A path. If no such file exists, the name of a config of the package:
            ``configs/okdhp/demo.py``, ``okdhp/demo.py`` or ``demo.py``.

    Raises:
        UserError: If it does not exist.
    """
    if Path(name).is_file():
        return Path(name)
    # A test checks that the file names of the package's configs are unique.
    known = {Path(each).name: each for each in config_names()}
    parts = Path(name).parts
    wanted = parts[1:] if parts[:1] == ('configs',) else parts
    shipped = known.get(Path(name).name)
    if shipped and Path(shipped).parts[-len(wanted) :] == wanted:
        return config_folder() / shipped
    similar = difflib.get_close_matches(Path(name).name, known, n=3)
    hint = f' Similar configs of okdhp_mm: {", ".join(known[each] for each in similar)}.'
    raise UserError(f'The config {name} does not exist.{hint if similar else ""}')
