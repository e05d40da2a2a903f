"""Are the hosts, mmpose and torch, there and of versions that can what is asked of them?"""

from __future__ import annotations

import importlib
from importlib.metadata import version

from .errors import UserError

MMPOSE_MINIMUM = (1, 2)
MMPOSE_BELOW = (2, 0)


def check() -> None:
    """Import mmpose and look at its version.

    Raises:
        ImportError: If it cannot be imported, or is of another major version.
    """
    try:
        mmpose = importlib.import_module('mmpose')
        # What is broken below mmpose shows here: mmcv ops, mmdet, or (a ValueError) numpy's ABI.
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
    """Look whether torch is new enough for what only later ones can of those that are supported.

    Args:
        asking: Who needs it, for the sentence.
        least: Major and minor version.

    Raises:
        UserError: If it is older.
    """
    found = version('torch')
    if major_minor(found) < least:
        raise UserError(f'{asking} needs torch >= {".".join(map(str, least))}, found {found}.')


def major_minor(text: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in text.split('.')[:2])
