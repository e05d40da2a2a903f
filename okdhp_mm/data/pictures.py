"""Check that pictures can be read, before a training and during it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from logging import WARNING
from typing import Any

import cv2
import mmcv
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from rich.progress import track
from torch.utils.data import Dataset

from ..errors import UserError

WIDEST = 32_766
"""Longest side in pixels that OpenCV can crop and warp."""
UNREADABLE = (OSError, AssertionError, cv2.error)
LIMIT = 100
NAMED = 5


def check_pictures(paths: Iterable[str], decode: bool = False, progress: bool = False) -> None:
    """Check that pictures exist and are not empty and, if asked, that they can be decoded.

    Args:
        paths: Paths of the pictures.
        decode: Whether to decode every picture, in as many threads as there are cores.
        progress: Whether to show a progress bar.

    Raises:
        UserError: If some cannot be used; it names the first ones.
    """
    paths = list(dict.fromkeys(paths))
    check = decoding_fault if decode else file_fault
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults: Iterable[str | None] = pool.map(check, paths)
        if progress:
            faults = track(faults, 'Checking the pictures', len(paths))
        wrong = [f'{path} {fault}' for path, fault in zip(paths, faults, strict=True) if fault]
    if wrong:
        rest = f'; and {len(wrong) - NAMED} more' if len(wrong) > NAMED else ''
        raise UserError(
            f'{len(wrong)} of {len(paths)} pictures cannot be used: '
            f'{"; ".join(wrong[:NAMED])}{rest}. Replace them, or remove their annotations.'
        )


def file_fault(path: str) -> str | None:
    """Return what is wrong with a picture's file, if something is."""
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return 'does not exist'
    except (OSError, ValueError) as error:  # a name with a NUL character is a ValueError
        return f'cannot be used ({getattr(error, "strerror", None) or error})'
    if os.path.isdir(path):
        return 'is a folder'
    return None if size else 'is empty'


def decoding_fault(path: str) -> str | None:
    """Return what is wrong with a picture, if something is."""
    if fault := file_fault(path):
        return fault
    try:
        image = mmcv.imread(path)
    except UNREADABLE as error:
        return f'cannot be read ({getattr(error, "strerror", None) or error})'
    return 'cannot be decoded' if image is None else size_fault(image.shape)


def size_fault(shape: Sequence[int]) -> str | None:
    """Return what is wrong with the size of a picture, if something is."""
    height, width = shape[:2]
    if max(height, width) <= WIDEST:
        return None
    return f'has {width}x{height} pixels; OpenCV crops pictures of at most {WIDEST} pixels a side'


class CheckedLoad:
    """Loader of pictures that skips those that cannot be read.

    It gives ``None`` for them, which lets mmengine's datasets draw another sample at random.

    Args:
        load: The transform that loads pictures.
        limit: Number of different pictures that one process may skip.
    """

    def __init__(self, load: Callable[[dict], dict | None], limit: int):
        self.load = load
        self.limit = limit
        self.skipped: list[str] = []

    def __call__(self, results: dict) -> dict | None:
        """Load the picture of a sample.

        Raises:
            UserError: If too many pictures cannot be read.
        """
        path = results.get('img_path', '')
        try:
            loaded = self.load(results)
            fault = loaded and size_fault(loaded['img'].shape)
        except UNREADABLE as error:
            fault = f'cannot be read ({error})'
        if not fault:
            return loaded
        if path not in self.skipped:
            self.skipped.append(path)
            if len(self.skipped) > self.limit:
                names = ', '.join(map(str, self.skipped[:NAMED]))
                first = '' if self.limit == 0 else f'{len(self.skipped)} pictures cannot be used: '
                raise UserError(f'{first}{names} {fault}.')
            print_log(f'Skipped picture {len(self.skipped)}: {path} {fault}.', 'current', WARNING)
        return None

    def __repr__(self) -> str:
        return repr(self.load)


def skip_unreadable(dataset: Dataset, limit: int = LIMIT) -> None:
    """Make a dataset, and those it wraps, skip pictures that cannot be read.

    Args:
        dataset: A dataset with a ``pipeline``, or a wrapper of such datasets.
        limit: Number of different pictures that one process may skip; 0 to stop at the first, as
            an evaluation must not leave samples out.
    """
    inner: list[Any] = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    for part in inner:
        if isinstance(part, Dataset):
            skip_unreadable(part, limit)
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    for index, transform in enumerate(transforms):
        if isinstance(transform, LoadImageFromFile):
            transforms[index] = CheckedLoad(transform, limit)
