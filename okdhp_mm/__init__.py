"""okdhp_mm: online knowledge distillation for MMPose.

Importing it registers its models, hooks and metrics in mmpose's registries; a config does so by
``custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)``.
"""

import sys

from . import compat, host
from .version import __version__

__all__ = ['__version__']

compat.apply()

# `python -m okdhp_mm.doctor` imports this package first, and must run where mmpose does not.
if 'okdhp_mm.doctor' not in sys.orig_argv:
    host.check()
    from . import engine, evaluation, models  # noqa: F401  (imported for registration)
