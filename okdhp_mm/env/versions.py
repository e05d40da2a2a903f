"""Check that supported versions of mmpose and torch are installed."""

from __future__ import annotations

import importlib
from importlib.metadata import version

from ..errors import UserError

MMPOSE_MINIMUM = (1, 2)
MMPOSE_BELOW = (2, 0)


def check() -> None:
    """Import mmpose and look at its version.

    Raises:
        ImportError: If it cannot be imported, or is of another major version.
    """
    try:
        mmpose = importlib.import_module('mmpose')
        # Broken dependencies of mmpose show here: mmcv ops, mmdet, or (a ValueError) numpy's ABI.
        importlib.import_module('mmpose.models')
    except (ImportError, AssertionError, ValueError) as error:
        raise ImportError(
            f'okdhp_mm needs a working mmpose ({error}); `python -m okdhp_mm.doctor` tells what is '
            'missing and the command that mends it.'
        ) from error
    if not MMPOSE_MINIMUM <= major_minor(mmpose.__version__) < MMPOSE_BELOW:
        raise ImportError(
            f'okdhp_mm needs mmpose >=1.2,<2, found {mmpose.__version__}: pip install mmpose==1.3.2'
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
