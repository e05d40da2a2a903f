"""Check that supported versions of mmpose and torch are installed."""

from __future__ import annotations

import importlib
from importlib.metadata import version

from ..errors import UserError

MMPOSE_MINIMUM = (1, 2)
MMPOSE_BELOW = (2, 0)


def mmpose_problem() -> str:
    """Import mmpose. Return why that fails, or '' if it works."""
    try:
        importlib.import_module('mmpose.models')
    # Broken dependencies of mmpose show here and may raise anything: mmdet raises an
    # AssertionError, numpy's ABI a ValueError. The caller reports it.
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return ''


def check_mmpose() -> None:
    """Check the version of mmpose.

    Raises:
        ImportError: If it is not supported.
    """
    found = importlib.import_module('mmpose').__version__
    if not MMPOSE_MINIMUM <= major_minor(found) < MMPOSE_BELOW:
        raise ImportError(
            f'okdhp_mm needs mmpose >=1.2,<2, found {found}: pip install mmpose==1.3.2'
        )


def check_torch(asking: str, least: tuple[int, int]) -> None:
    """Check that torch has at least a minimum version.

    Args:
        asking: What requires it, to name in the error.
        least: Major and minor version.

    Raises:
        UserError: If it is older.
    """
    found = version('torch')
    if major_minor(found) < least:
        raise UserError(f'{asking} needs torch >= {".".join(map(str, least))}, found {found}.')


def major_minor(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(int(part) for part in text.split('.')[:2])
