"""Devices of runs. It is None for runs of an earlier version."""

from __future__ import annotations

import torch

CPU = 'cpu'


def device_name() -> str:
    """Return the GPU's name, or 'cpu'."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else CPU


def may_be_paired(one: str | None, other: str | None) -> bool:
    """Return whether the precision is the same, as far as is known. A GPU may use another."""
    return None in (one, other) or (one == CPU) == (other == CPU)


def may_be_timed(one: str | None, other: str | None) -> bool:
    """Return whether times can be compared, as far as is known."""
    return None in (one, other) or one == other
