"""Make mmpose 1.3.2 importable without the compiled operators of mmcv.

With compiled operators it does nothing. `python -m okdhp_mm doctor` reports whether it is in use.
Importing this module imports nothing heavy.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

MMCV_EXT = 'mmcv._ext'
MMCV_EXT_STAND_IN = Path(__file__).with_name('_mmcv_ext.py')
REASON = 'because this mmcv has no compiled ops, and mmpose imports mmcv.ops unconditionally'


class _MmcvExtFinder(MetaPathFinder):
    """Finds the stand-in for `mmcv._ext`; asked only after every real finder found nothing."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == MMCV_EXT:
            return importlib.util.spec_from_file_location(fullname, MMCV_EXT_STAND_IN)
        return None


def apply() -> None:
    """Make `import mmcv.ops` work without compiled operators. It may be called twice.

    Call it before anything imports mmpose, because its edpose_head imports `mmcv.ops`
    unconditionally. The finder goes to the end of
    `sys.meta_path`: a compiled `mmcv._ext` is found before it, and one that is found but does not
    load still raises its own error.
    """
    if not any(isinstance(finder, _MmcvExtFinder) for finder in sys.meta_path):
        sys.meta_path.append(_MmcvExtFinder())


def is_active() -> bool:
    """Return whether this process has imported the stand-in so far."""
    spec = getattr(sys.modules.get(MMCV_EXT), '__spec__', None)
    return spec is not None and spec.origin == str(MMCV_EXT_STAND_IN)
