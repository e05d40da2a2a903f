"""Drop messages of other packages that do not concern the user."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Sequence
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


@contextmanager
def quiet() -> Iterator[None]:
    """Drop messages about optional packages, bundled metainfo and threads."""
    with warnings.catch_warnings(), _dropped_prints((PRINTER,), OPTIONAL_PACKAGES):
        for start in (*OPTIONAL_PACKAGES, BUNDLED_METAINFO, THREADS):
            warnings.filterwarnings('ignore', start)
        yield


@contextmanager
def silent_coco() -> Iterator[None]:
    """Drop what the COCO tools print."""
    with _dropped_prints(COCO_TOOLS):
        yield


@contextmanager
def _dropped_prints(names: Sequence[str], starts: str | tuple[str, ...] = '') -> Iterator[None]:
    """Drop texts that modules print and that start with one of these."""
    modules: list[Any] = [importlib.import_module(name) for name in names]
    before = [getattr(module, 'print', print) for module in modules]

    def print_others(*values, **options) -> None:
        if not ' '.join(map(str, values)).startswith(starts):
            print(*values, **options)

    for module in modules:
        module.print = print_others
    try:
        yield
    finally:
        for module, original in zip(modules, before, strict=True):
            module.print = original
