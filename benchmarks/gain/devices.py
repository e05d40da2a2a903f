"""What a run was trained on. Runs of an earlier version do not tell: theirs is None."""

from __future__ import annotations

import torch

CPU = 'cpu'


def device_name() -> str:
    """The GPU's name, or 'cpu'."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else CPU


def may_be_paired(one: str | None, other: str | None) -> bool:
    """Whether the precision is the same, as far as is known: on a GPU it may be another."""
    return None in (one, other) or (one == CPU) == (other == CPU)


def may_be_timed(one: str | None, other: str | None) -> bool:
    """Whether times can be compared, as far as is known."""
    return None in (one, other) or one == other
