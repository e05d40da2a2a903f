"""Checkpoints that try to run code when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import torch

from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import load_checkpoint

from .rows import Row, row

FIELDS = (
    *('state_dict', 'meta', 'optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict'),
    *('meta.epoch', 'meta.cfg', 'meta.config', 'meta.dataset_meta', 'meta.seed'),
)
RUNS = 2 * len(FIELDS)


class Command:
    """A pickle that creates a folder when it is read."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def crafted(field: str, value: Any) -> dict:
    """Return a checkpoint with a value in one field."""
    checkpoint = dict(state_dict=dict(weight=torch.zeros(1)), meta=dict(epoch=1, iter=1))
    *path, key = field.split('.')
    (checkpoint[path[0]] if path else checkpoint)[key] = value
    return checkpoint


def check(runs: int, folder: Path) -> Iterator[Row]:
    """Read a checkpoint with a command in each field, in both formats of torch."""
    yield row('pickled command in a checkpoint', islice(_outcomes(folder), runs))


def _outcomes(folder: Path) -> Iterator[str | None]:
    file, canary = folder / 'crafted.pth', folder / 'canary'
    for field, zipped in product(FIELDS, (True, False)):
        torch.save(crafted(field, Command(canary)), file, _use_new_zipfile_serialization=zipped)
        try:
            load_checkpoint(str(file))
            yield f'{field}: was read'
        except UserError:
            yield f'{field}: the command ran' if canary.exists() else None
