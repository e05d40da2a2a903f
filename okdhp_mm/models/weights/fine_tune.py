"""Start a new training from the checkpoint of another multi-branch model."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ...errors import UserError, join_names
from ..state_names import student_name
from .load_stock import start_ema
from .symmetry_breaking import noisy_copies

EMA = 'ema.'
Places = dict[str, dict[int | None, str]]
LISTED = 8


def fit_checkpoint(model: nn.Module, state_dict: dict[str, Tensor], noise: float) -> None:
    """Turn the weights of another multi-branch model into weights of this one, in place.

    Keypoints, heads, the split and the number of branches may differ. Tensors that do not fit stay
    as the model has them, and are listed in the log. A branch that the checkpoint lacks starts as
    a noisy copy of one that it has. The weights of an equal model stay unchanged.

    Args:
        model: The multi-branch model.
        state_dict: Weights of a multi-branch model. Afterwards it has all tensors of the model.
        noise: See :func:`~okdhp_mm.models.weights.symmetry_breaking.noisy_copies`.

    Raises:
        UserError: If no weights of the backbone fit.
    """
    own = model.state_dict()
    if shapes_of(own) == shapes_of(state_dict):
        return
    places = places_of(state_dict)
    sources = {name: find_source(name, places) for name in own if not name.startswith(EMA)}
    fitting = {
        name: source
        for name, source in sources.items()
        if source and state_dict[source].shape == own[name].shape
    }
    # Ignore scalars such as batch counters, because they fit every network.
    if not any(name.startswith('backbone.') and own[name].dim() for name in fitting):
        raise UserError(
            'The checkpoint has no weights that fit the backbone: it has e.g. '
            f'{next(iter(state_dict))!r}, the model e.g. {next(iter(own))!r}. Load a checkpoint '
            'of the same backbone.'
        )
    unused = [name for name in state_dict.keys() - fitting.values() if not name.startswith(EMA)]
    state = {name: own[name] for name in sources}
    state |= {name: state_dict[source] for name, source in fitting.items()}
    noisy = noisy_copies(state, noise)
    state_dict.clear()
    state_dict.update(state | noisy)
    if model.ema is not None:
        start_ema(state_dict, '')
    print_log(
        f'Checkpoint of another multi-branch model: {len(fitting)} of {len(sources)} tensors '
        f'loaded; kept as initialized: {modules_of(sources.keys() - fitting.keys())}; not used: '
        f'{modules_of(unused)}; copied from another branch, with a relative noise of {noise}: '
        f'{modules_of(noisy)}.',
        logger='current',
        # If less than half fits, the checkpoint probably belongs to another network.
        level=logging.WARNING if 2 * len(fitting) < len(sources) else logging.INFO,
    )


def find_source(name: str, places: Places) -> str | None:
    """Return the tensor of a checkpoint that the model's tensor of this name starts from.

    The student's tensors are found in the trunk and in the branches, because the split may differ.

    Args:
        name: The tensor of the model.
        places: See :func:`places_of`.
    """
    branch, student = student_name(name) or (None, name)
    found = places.get(student)
    if not found:
        return None
    first = found.get(branch) or found.get(None)
    # Branches that the checkpoint lacks take turns with those that it has.
    indices = sorted(index for index in found if index is not None)
    return first or found[indices[(branch or 0) % len(indices)]]


def places_of(state_dict: dict[str, Tensor]) -> Places:
    """Map each name in the student to a checkpoint's names of that tensor by branch."""
    places: Places = {}
    for name in state_dict:
        branch, student = student_name(name) or (None, name)
        places.setdefault(student, {})[branch] = name
    return places


def shapes_of(state_dict: dict[str, Tensor]) -> dict[str, torch.Size]:
    """Return the shape of every tensor."""
    return {name: value.shape for name, value in state_dict.items()}


def modules_of(names: Iterable[str]) -> str:
    """Return a text that lists the modules of tensors."""
    return join_names(sorted({name.rpartition('.')[0] or name for name in names}), LISTED)
