"""Drop messages of other packages that do not concern the user."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

COCO_TOOLS = ('xtcocotools.coco', 'xtcocotools.cocoeval')
"""Modules that print a report for every file and a table for every evaluation."""
PRINTER = 'mmengine.logging.logger'
"""Module with the function that mmdet prints by."""
OPTIONAL_PACKAGES = ('Could not import OneDL', 'faster_coco_eval is not installed')
"""Starts of what mmdet says about packages that this package does not use."""
BUNDLED_METAINFO = 'The metainfo config file .* A matched config file'
"""mmpose's warning for `configs/_base_/datasets/coco.py`, which its own configs name."""
THREADS = 'Setting [A-Z_]+ environment variable for each process'
"""mmengine's warning in each of several processes."""


def drop_optional_packages() -> None:
    """Drop what mmdet says about optional packages when it is imported, unless ``--verbose``."""
    if '--verbose' in sys.argv:
        return
    for start in (*OPTIONAL_PACKAGES, BUNDLED_METAINFO, THREADS):
        warnings.filterwarnings('ignore', start)
    try:
        _drop_prints(importlib.import_module(PRINTER), OPTIONAL_PACKAGES)
    except ImportError:  # reported with its remedy by those who need mmengine
        pass


@contextmanager
def silent_coco() -> Iterator[None]:
    """Drop what the COCO tools print."""
    modules: list[Any] = [importlib.import_module(name) for name in COCO_TOOLS]
    before = [getattr(module, 'print', print) for module in modules]
    for module in modules:
        _drop_prints(module)
    try:
        yield
    finally:
        for module, original in zip(modules, before, strict=True):
            module.print = original


def _drop_prints(module: Any, starts: str | tuple[str, ...] = '') -> None:
    """Drop texts that a module prints and that start with one of these."""

    def print_others(*values, **options) -> None:
        if not ' '.join(map(str, values)).startswith(starts):
            print(*values, **options)

    module.print = print_others
