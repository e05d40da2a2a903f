"""Copies of one trained network, made different on purpose.

Branches that start equal see the same images and targets. Unless the aggregator treats them
differently, their gradients are equal, they stay equal, and have nothing to learn from each other.

Measured on the demo's figures, from a stock checkpoint of AP 0.523: the lowest AP of a branch when
loaded, and the relative difference of two branches' heatmaps then and after 3 epochs with the FAU
or with the mean ensemble:

=====  =====  ======  =====  =====
noise  AP     loaded  FAU    mean
=====  =====  ======  =====  =====
0      0.523  0       0.025  0
0.02   0.521  0.027   0.023
0.05   0.521  0.068   0.024  0.014
0.1    0.520  0.136   0.031
0.2    0.514  0.273   0.048
=====  =====  ======  =====  =====

So 0.05, the default, costs a branch about nothing. The mean ensemble needs it; the FAU, which
weights branches differently, hardly does. All APs were 0.555-0.563 in the end, whatever the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .student import student_name


def noisy_copies(state: dict[str, Tensor], noise: float) -> dict[str, Tensor]:
    """Weights for the branches that would start as copies of an earlier one.

    Gaussian noise is added to the weights of convolutions and linear layers (what has more than
    one dimension). It is drawn on the CPU from a seed of the branch's own: equal on every process
    of a distributed run, which does not synchronise weights that are loaded.

    Args:
        state: State dict of the multi-branch model as it is about to be.
        noise: Standard deviation of the noise over that of the tensor it is added to.

    Returns:
        The tensors that get noise, by name; none of branch 0.
    """
    branches: dict[int, dict[str, str]] = {}
    for name in state:
        branch, own = student_name(name) or (None, '')
        if branch is not None:
            branches.setdefault(branch, {})[own] = name
    noisy = {}
    for m, names in branches.items():
        if noise and any(_copies(state, branches[k], names) for k in range(m)):
            generator = torch.Generator().manual_seed(m)
            for name in names.values():
                value = state[name]
                if value.is_floating_point() and value.dim() > 1:
                    normal = torch.randn(value.shape, generator=generator)
                    noisy[name] = value + noise * value.std() * normal.to(value)
    return noisy


def _copies(state: dict[str, Tensor], ours: dict[str, str], theirs: dict[str, str]) -> bool:
    return ours.keys() == theirs.keys() and all(
        state[name].shape == state[theirs[own]].shape
        and torch.equal(state[name], state[theirs[own]])
        for own, name in ours.items()
    )
