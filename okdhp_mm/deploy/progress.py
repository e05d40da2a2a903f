"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import track

Item = TypeVar('Item')


@contextmanager
def progress(
    items: Iterable[Item], description: str, total: int | None = None
) -> Iterator[Iterator[Item]]:
    """Draw a bar while items are read, and end it with the block, also after an error.

    Rich ends a bar when its generator is closed. An error keeps the generator open, and the garbage
    collector may close it in the thread of a later bar, which then waits for itself.

    Args:
        items: Items to read.
        description: Text next to the bar.
        total: Number of items; None if it is unknown.
    """
    bar = iter(track(items, description, total))
    try:
        yield bar
    finally:
        bar.close()  # type: ignore[attr-defined]  # it is a generator
