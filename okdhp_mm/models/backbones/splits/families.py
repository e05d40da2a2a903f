"""The families there are, and the cut of a backbone that one of them knows."""

from __future__ import annotations

from torch import nn

from ....errors import UserError
from .base import Split, SplitFamily, owned_paths, parts
from .cspnext import CSPNeXtSplit
from .hourglass import HourglassSplit
from .hrnet import HRNetSplit
from .litehrnet import LiteHRNetSplit
from .mobilenet import MobileNetSplit
from .resnet import ResNetSplit
from .shufflenet import ShuffleNetSplit
from .stacked_hourglass import StackedHourglassSplit

FAMILIES: tuple[SplitFamily, ...] = (
    HRNetSplit(),
    LiteHRNetSplit(),
    ResNetSplit(),
    MobileNetSplit(),
    ShuffleNetSplit(),
    CSPNeXtSplit(),
    HourglassSplit(),
    StackedHourglassSplit(),
)
"""Every family that knows how to be cut. Add yours here; CONTRIBUTING.md shows how."""


def find_family(backbone: nn.Module) -> SplitFamily | None:
    """The family that knows a backbone."""
    return next((family for family in FAMILIES if family.matches(backbone)), None)


def split_points(backbone: nn.Module) -> list[str]:
    """Where a backbone can be cut, besides 'whole'; the last step is no point."""
    family = find_family(backbone)
    return [step.name for step in family.steps(backbone)[:-1]] if family else []


def find_split(backbone: nn.Module, point: str) -> Split:
    """The family of a backbone, cut at the point that the user named.

    Raises:
        UserError: If no family knows the backbone, the point is not one of the family's, the
            family does not account for all of the backbone's children, or stages above the
            point are frozen.
    """
    kind = type(backbone).__name__
    family = find_family(backbone)
    if family is None:
        known = ', '.join(family.name for family in FAMILIES)
        raise UserError(
            f'split={point!r}: {kind} has no split points (known families: {known}); use '
            "split='whole', which shares the whole backbone and gives every branch its own head."
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
            f"{sorted(claimed ^ present)}; use split='whole'."
        )
    cut = points.index(point) + 1
    lower, upper = steps[:cut], steps[cut:]
    frozen = getattr(backbone, 'frozen_stages', -1)
    if frozen > lower[-1].freezable:
        raise UserError(
            f'frozen_stages={frozen} reaches into the branches of split={point!r}; '
            f'freeze at most {lower[-1].freezable} or split later.'
        )
    return Split(family, lower, upper)
