"""Find the split family of a backbone, and cut the backbone at a split point."""

from __future__ import annotations

from mmengine.model import BaseModule

from ....errors import UserError
from ....registry import SPLITS, find_match
from .base import Split, SplitFamily, owned_paths, parts


def find_family(backbone: BaseModule) -> SplitFamily | None:
    """Return the split family of a backbone, or None."""
    family = find_match(SPLITS, backbone)
    return None if family is None else family()


def split_points(backbone: BaseModule) -> list[str]:
    """Return the split points of a backbone, without 'whole' and without the last step."""
    family = find_family(backbone)
    return [step.name for step in family.steps(backbone)[:-1]] if family else []


def find_split(backbone: BaseModule, point: str) -> Split:
    """Cut the steps of a backbone at a split point.

    Raises:
        UserError: If the backbone has no family, the point does not exist, the family does not
            know all children of the backbone, or stages above the point are frozen.
    """
    kind = type(backbone).__name__
    family = find_family(backbone)
    if family is None:
        known = ', '.join(family.name for family in SPLITS.module_dict.values())
        raise UserError(
            f'split={point!r}: {kind} has no split points (known families: {known}). Use '
            "split='whole', which shares the whole backbone and gives every branch its own head, "
            'or register a split family for it (docs/tutorials/own_split.md).'
        )
    points = split_points(backbone)
    if point not in points:
        valid = ', '.join(map(repr, [*points, 'whole']))
        raise UserError(f'split={point!r} is not a split point of {kind}; valid are {valid}.')
    steps = family.steps(backbone)
    claimed = owned_paths(steps)
    present = {path for path, _, _ in parts(backbone, claimed)}
    if claimed != present:
        raise UserError(
            f'{kind} has children that its split family {family.name} does not account for: '
            f"{sorted(claimed ^ present)}. Use split='whole'."
        )
    cut = points.index(point) + 1
    lower, upper = steps[:cut], steps[cut:]
    frozen = getattr(backbone, 'frozen_stages', -1)
    if frozen > lower[-1].freezable:
        raise UserError(
            f'frozen_stages={frozen} reaches into the branches of split={point!r}. '
            f'Set at most {lower[-1].freezable} or split later.'
        )
    return Split(family, lower, upper)
