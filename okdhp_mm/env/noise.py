"""Drop messages of other packages that do not concern the user."""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

COCO_TOOLS = ('xtcocotools.coco', 'xtcocotools.cocoeval')
"""Modules that print a report for every file and a table for every evaluation."""
PRINTER = 'mmengine.logging.logger'
"""Module with the function that mmdet prints by."""
OPTIONAL_PACKAGES = ('Could not import OneDL', 'faster_coco_eval is not installed')
"""Starts of what mmdet says about packages that this package does not use."""
READING = ('Loads checkpoint by local backend',)
"""Start of what mmengine prints for every file that it reads."""
LOGGED = (
    'Failed to search registry with scope "mmpose" in the "function"',
    'Evaluating ',
    'The prefix is not set in metric class',
)
"""Starts of what mmengine logs of its collate function and of every metric."""
BUNDLED_METAINFO = 'The metainfo config file .* A matched config file'
"""mmpose's warning for `configs/_base_/datasets/coco.py`, which its own configs name."""
THREADS = 'Setting [A-Z_]+ environment variable for each process'
"""mmengine's warning in each of several processes."""
EXPORTER = re.escape('`isinstance(treespec, LeafSpec)` is deprecated')
"""torch's warning about its own exporter."""


@contextmanager
def quiet() -> Iterator[None]:
    """Drop messages about optional packages, bundled metainfo and threads."""
    with warnings.catch_warnings(), _dropped_prints((PRINTER,), OPTIONAL_PACKAGES):
        for start in (*OPTIONAL_PACKAGES, BUNDLED_METAINFO, THREADS):
            warnings.filterwarnings('ignore', start)
        yield


@contextmanager
def quiet_command() -> Iterator[None]:
    """Drop those messages, and what other packages say about their own work in a command."""
    with quiet(), _dropped_prints((PRINTER,), READING), _dropped_records(LOGGED), silent_coco():
        warnings.filterwarnings('ignore', EXPORTER)
        yield


@contextmanager
def silent_coco() -> Iterator[None]:
    """Drop what the COCO tools print."""
    with _dropped_prints(COCO_TOOLS):
        yield


@contextmanager
def _dropped_records(starts: tuple[str, ...]) -> Iterator[None]:
    """Drop what mmengine's default logger gets and that starts with one of these."""

    def wanted(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(starts)

    logger = importlib.import_module('mmengine.logging').MMLogger.get_current_instance()
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


@contextmanager
def _dropped_prints(names: Sequence[str], starts: str | tuple[str, ...] = '') -> Iterator[None]:
    """Drop texts that modules print and that start with one of these."""
    modules: list[Any] = [importlib.import_module(name) for name in names]
    before = [getattr(module, 'print', print) for module in modules]
    for module, original in zip(modules, before, strict=True):
        module.print = _printer(original, starts)
    try:
        yield
    finally:
        for module, original in zip(modules, before, strict=True):
            module.print = original


def _printer(original: Callable[..., None], starts: str | tuple[str, ...]) -> Callable[..., None]:
    def print_others(*values, **options) -> None:
        if not ' '.join(map(str, values)).startswith(starts):
            original(*values, **options)

    return print_others
