"""State of the random number generators of one process, as a checkpoint keeps it."""

from __future__ import annotations

import random

import numpy as np
import torch

from ..errors import as_user_error


def random_state() -> dict:
    """Return the state of the generators of Python, numpy and torch, in plain types and tensors."""
    state = np.random.get_state()
    assert isinstance(state, tuple)  # the default, although numpy's stubs promise a dict
    kind, keys, *rest = state
    return dict(
        python=random.getstate(),
        numpy=(kind, keys.tolist(), *rest),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    )


def set_random_state(state: dict) -> None:
    """Continue with the random numbers that follow a state.

    Args:
        state: Result of :func:`random_state`, also from a machine with or without a GPU.

    Raises:
        UserError: If it is not such a state.
    """
    with as_user_error('The random state in the checkpoint is damaged', Exception):
        random.setstate(state['python'])
        np.random.set_state(state['numpy'])
        torch.set_rng_state(state['torch'])
        if state['cuda'] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state['cuda'])
