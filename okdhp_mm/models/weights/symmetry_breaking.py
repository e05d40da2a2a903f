"""Add noise to branches that start as copies of the same trained network.

Branches that start equal see the same images and targets. Unless the aggregator treats them
differently, their gradients are equal. Then they stay equal and cannot learn from each other.

The table was measured on the demo's figures, from a stock checkpoint with AP 0.523. It shows the
lowest AP of a branch after loading, and the relative difference between the heatmaps of two
branches: after loading, and after 3 epochs with the FAU or with the mean ensemble.

=====  =====  ======  =====  =====
noise  AP     loaded  FAU    mean
=====  =====  ======  =====  =====
0      0.523  0       0.025  0
0.02   0.521  0.027   0.023
0.05   0.521  0.068   0.024  0.014
0.1    0.520  0.136   0.031
0.2    0.514  0.273   0.048
=====  =====  ======  =====  =====

The default, 0.05, hardly changes the AP of a branch. The mean ensemble needs the noise. The FAU
hardly does, because it weights branches differently. All final APs were between 0.555 and 0.563,
for every noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..state_names import student_name


def noisy_copies(state: dict[str, Tensor], noise: float) -> dict[str, Tensor]:
    """Return noisy weights for branches that would start as copies of an earlier branch.

    Gaussian noise is added to the weights of convolutions and linear layers (tensors with more
    than one dimension). It is drawn on the CPU with one seed per branch. So it is equal on every
    process of a distributed run, where loaded weights are not synchronized.

    Args:
        state: State dict that is about to be loaded into the multi-branch model.
        noise: Ratio of the standard deviations of the noise and of the tensor.

    Returns:
        The tensors with noise, by name. Branch 0 has none.
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
