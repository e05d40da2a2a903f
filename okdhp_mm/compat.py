"""What mmpose 1.3.2 needs today in order to import; applied before okdhp_mm imports mmpose.

Each patch is one function, is inert where the real thing is present, and is listed in `PATCHES`,
from which `python -m okdhp_mm.doctor` reports. Importing this module imports nothing heavy.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path

MMCV_EXT = 'mmcv._ext'
MMCV_EXT_STAND_IN = Path(__file__).with_name('_mmcv_ext.py')


@dataclass(frozen=True)
class Patch:
    """A workaround for something that the installed packages lack.

    Args:
        name: What is patched.
        reason: Why it is used, as the end of a sentence.
        apply: Puts the patch in place; calling it twice does no harm.
        is_active: Whether the patch has been used, so far, in this process.
    """

    name: str
    reason: str
    apply: Callable[[], None]
    is_active: Callable[[], bool]


class _MmcvExtFinder(MetaPathFinder):
    """Finds the stand-in for `mmcv._ext`; asked only after every real finder found nothing."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == MMCV_EXT:
            return importlib.util.spec_from_file_location(fullname, MMCV_EXT_STAND_IN)
        return None


def stand_in_for_mmcv_ops() -> None:
    """Lets `import mmcv.ops` succeed where mmcv was built without compiled operators.

    mmpose's edpose_head imports `mmcv.ops` unconditionally, so that without this no mmpose model
    can be imported. The finder goes to the end of `sys.meta_path`: a compiled `mmcv._ext` is found
    before it, and one that is found but does not load still raises its own error.
    """
    if not any(isinstance(finder, _MmcvExtFinder) for finder in sys.meta_path):
        sys.meta_path.append(_MmcvExtFinder())


def _mmcv_ext_came_from_here() -> bool:
    spec = getattr(sys.modules.get(MMCV_EXT), '__spec__', None)
    return spec is not None and spec.origin == str(MMCV_EXT_STAND_IN)


PATCHES = (
    Patch(
        name=MMCV_EXT,
        reason='because this mmcv has no compiled ops, and mmpose imports mmcv.ops unconditionally',
        apply=stand_in_for_mmcv_ops,
        is_active=_mmcv_ext_came_from_here,
    ),
)


def apply() -> None:
    """Applies every patch; call it before anything imports mmpose."""
    for patch in PATCHES:
        patch.apply()
