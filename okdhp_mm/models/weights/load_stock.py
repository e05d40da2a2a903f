"""Load a multi-branch checkpoint or a stock checkpoint into the multi-branch model."""

from __future__ import annotations

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ...errors import UserError, join_names
from ..state_names import student_name
from .symmetry_breaking import noisy_copies


def is_branched(state_dict: dict[str, Tensor], prefix: str = '') -> bool:
    """Return whether a state dict is that of a multi-branch model, not of a stock network."""
    return any(name.startswith(f'{prefix}backbone.trunk.') for name in state_dict)


def check_branched(state_dict: dict[str, Tensor], source: str) -> None:
    """Check that a state dict is that of a trained multi-branch model.

    Raises:
        UserError: If it is not. A stock checkpoint would otherwise be copied to all branches.
    """
    if not is_branched(state_dict):
        raise UserError(
            f'{source} is not a checkpoint of an OKDHP training: it has e.g. '
            f'{next(iter(state_dict), None)!r}, but nothing in backbone.trunk.*. Use a checkpoint '
            'of a training by this package.'
        )


def check_state_dict(model: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Compare a checkpoint of this package with the model.

    Raises:
        UserError: If names or shapes of their tensors differ.
    """
    own = {prefix + name: value.shape for name, value in model.state_dict().items()}
    given = {name: value.shape for name, value in state_dict.items() if name.startswith(prefix)}
    names = own.keys() | given.keys()
    wrong = sorted(name for name in names if own.get(name) != given.get(name))
    if wrong:
        first = ', '.join(
            f'{name} (checkpoint {_shape(given, name)}, model {_shape(own, name)})'
            for name in wrong[:3]
        )
        raise UserError(
            f'The checkpoint is of another model: {len(wrong)} of {len(names)} tensors differ, '
            f'first {first}. Use the config that it was trained with.'
        )


def convert_stock_state_dict(
    model: nn.Module, state_dict: dict[str, Tensor], prefix: str, noise: float
) -> None:
    """Copy the weights of a stock checkpoint to the trunk and to every branch, in place.

    Args:
        model: The multi-branch model.
        state_dict: Weights of the stock network. They are replaced by weights of the model, for
            all tensors that fit.
        prefix: Prefix of the names of the model's tensors.
        noise: See :func:`~okdhp_mm.models.weights.symmetry_breaking.noisy_copies`.

    Raises:
        UserError: If nothing fits.
    """
    own = {prefix + name: value.shape for name, value in model.state_dict().items()}
    stock = {name.removeprefix(prefix): state_dict.pop(name) for name in list(state_dict)}
    owners = {name: student_name(name.removeprefix(prefix)) for name in own}
    fitting = {
        name: stock[owner[1]]
        for name, owner in owners.items()
        if owner and owner[1] in stock and stock[owner[1]].shape == own[name]
    }
    if not fitting:
        raise UserError(
            'The checkpoint has nothing in common with the student: it has e.g. '
            f'{next(iter(stock), None)!r}, the student e.g. '
            f'{next(owner[1] for owner in owners.values() if owner)!r}. Load a checkpoint of the '
            'same network.'
        )
    state = {name.removeprefix(prefix): value for name, value in fitting.items()}
    noisy = noisy_copies(model.state_dict() | state, noise)
    state_dict.update(fitting | {prefix + name: value for name, value in noisy.items()})
    used = {owner[1] for name in fitting if (owner := owners[name])}
    unused = sorted(stock.keys() - used)
    new = sorted({owner[1] for owner in owners.values() if owner} - used)
    branches = {owner[0] for owner in owners.values() if owner} - {None}
    print_log(
        f'Stock checkpoint: {len(used)} of {len(stock)} tensors copied to the trunk and to '
        f'{len(branches)} branches; not used: {join_names(unused)}; kept '
        f'as initialized: {join_names(new)}, and the aggregator'
        f'{f"; relative noise of {noise} was added to the copies" if noisy else ""}.',
        logger='current',
        # If less than half is used, the checkpoint probably belongs to another network.
        level=logging.WARNING if 2 * len(used) < len(stock) else logging.INFO,
    )


def start_ema(state_dict: dict[str, Tensor], prefix: str) -> None:
    """Give the EMA copy the weights of the model, as at the start of a training.

    Args:
        state_dict: Weights of the model, after :func:`convert_stock_state_dict`. Those of the
            copy are added.
        prefix: Prefix of the names of the model's tensors.
    """
    copy = f'{prefix}ema.'
    for name, value in list(state_dict.items()):
        state_dict[f'{copy}module.{name.removeprefix(prefix)}'] = value
    state_dict[f'{copy}steps'] = torch.zeros(())


def _shape(shapes: dict, name: str) -> str:
    return str(tuple(shapes[name])) if name in shapes else 'none'
