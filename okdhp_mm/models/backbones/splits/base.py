"""How a stock backbone is cut into a trunk and a top without touching its code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ....errors import UserError


@dataclass(frozen=True)
class Step:
    """One step of a backbone's forward.

    Attributes:
        name: The split point 'after this step', as users type it.
        children: Names of the backbone's children that only this step uses.
        run: ``run(part, state) -> state``, where ``part`` is the backbone or what is left of it.
        freezable: The largest ``frozen_stages`` that concerns only steps up to this one.
    """

    name: str
    children: tuple[str, ...]
    run: Callable[[nn.Module, Any], Any]
    freezable: int = -1


class SplitFamily(ABC):
    """A family of backbones whose forward is a sequence of steps.

    The first step receives the images (B, 3, H, W); between steps runs a state of the family's
    own choice; :meth:`features` turns the last one into what the stock forward returns.
    """

    name: str

    @abstractmethod
    def matches(self, backbone: nn.Module) -> bool:
        """Whether the steps below are this backbone's forward."""

    @abstractmethod
    def steps(self, backbone: nn.Module) -> tuple[Step, ...]:
        """The steps, in the order in which the stock forward takes them."""

    @abstractmethod
    def features(self, state: Any) -> tuple[Tensor, ...]:
        """What the stock forward returns, from the state after the last step."""

    @abstractmethod
    def shared(self, state: Any) -> Tensor:
        """The feature map with the highest resolution in a state between two steps."""


@dataclass(frozen=True)
class Split:
    """A backbone family together with the point where it is cut."""

    family: SplitFamily
    lower: tuple[Step, ...]
    upper: tuple[Step, ...]

    def cut_trunk(self, backbone: nn.Module) -> nn.Module:
        """Leave out what the trunk does not own."""
        return keep_children(backbone, self.lower)

    def cut_top(self, backbone: nn.Module) -> nn.Module:
        """Leave out what the trunk owns."""
        backbone.frozen_stages = -1  # what is frozen is in the trunk, see find_split
        return keep_children(backbone, self.upper)


def run_steps(steps: Iterable[Step], part: nn.Module, state: Any) -> Any:
    """Take the steps one after the other."""
    for step in steps:
        state = step.run(part, state)
    return state


def find_split(families: Iterable[SplitFamily], backbone: nn.Module, point: str) -> Split:
    """The family of a backbone, cut at the point that the user named.

    Raises:
        UserError: If no family knows the backbone, the point is not one of the family's, the
            family does not account for all of the backbone's children, or stages above the
            point are frozen.
    """
    kind = type(backbone).__name__
    family = next((family for family in families if family.matches(backbone)), None)
    if family is None:
        known = ', '.join(family.name for family in families)
        raise UserError(
            f'split={point!r}: {kind} has no split points (known families: {known}); use '
            "split='whole', which shares the whole backbone and gives every branch its own head."
        )
    steps = family.steps(backbone)
    points = [step.name for step in steps[:-1]]
    if point not in points:
        valid = ', '.join(map(repr, [*points, 'whole']))
        raise UserError(f'split={point!r} is not a split point of {kind}; valid are {valid}.')
    claimed = {child for step in steps for child in step.children}
    children = {name for name, _ in backbone.named_children()}
    if claimed != children:
        raise UserError(
            f'{kind} has children that its split family {family.name} does not account for: '
            f"{sorted(claimed ^ children)}; use split='whole'."
        )
    cut = points.index(point) + 1
    lower, upper = steps[:cut], steps[cut:]
    if backbone.frozen_stages > lower[-1].freezable:
        raise UserError(
            f'frozen_stages={backbone.frozen_stages} reaches into the branches of split={point!r}; '
            f'freeze at most {lower[-1].freezable} or split later.'
        )
    return Split(family, lower, upper)


def keep_children(backbone: nn.Module, steps: Iterable[Step]) -> nn.Module:
    """Delete every child that none of the steps owns, in place; the names of the rest stay."""
    owned = {child for step in steps for child in step.children}
    for name in [name for name, _ in backbone.named_children() if name not in owned]:
        delattr(backbone, name)
    return backbone
