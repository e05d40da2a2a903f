"""Names of the weights: which branch a tensor belongs to, and its name in the student."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_OWNERS = (
    (re.compile(r'backbone\.trunk\.(?P<rest>.+)'), 'backbone.'),
    (re.compile(r'backbone\.branches\.(?P<branch>\d+)\.(?P<rest>.+)'), 'backbone.'),
    (re.compile(r'head\.necks\.(?P<branch>\d+)\.(?P<rest>.+)'), 'neck.'),
    (re.compile(r'head\.branches\.(?P<branch>\d+)\.(?P<rest>.+)'), 'head.'),
)


def student_name(name: str) -> tuple[int | None, str] | None:
    """Find the branch of a tensor of the multi-branch model and its name in the student.

    Returns:
        The branch (None for the trunk, which all branches share) and the student's name; None for
        a tensor that only training needs, such as one of the aggregator.
    """
    for pattern, prefix in _OWNERS:
        if match := pattern.fullmatch(name):
            branch = match.groupdict().get('branch')
            return (None if branch is None else int(branch)), prefix + match['rest']
    return None


def student_tensors(tensors: Mapping[str, Tensor], branch: int) -> dict[str, Tensor]:
    """Select the tensors of the trunk and of one branch, by their names in the student.

    Args:
        tensors: Tensors of the multi-branch model by name, such as its state dict.
        branch: Index of the branch.
    """
    selected: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        owner = student_name(name)
        if owner is None or owner[0] not in (None, branch):
            continue
        if owner[1] in selected:
            raise AssertionError(f'Trunk and branch {branch} both have {owner[1]}.')
        selected[owner[1]] = tensor
    return selected
