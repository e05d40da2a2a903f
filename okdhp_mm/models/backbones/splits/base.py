"""How a stock backbone is cut into a trunk and a top without touching its code.

A step owns submodules by their paths. Most are children of the backbone ('layer1'); a network that
keeps its stages in a ``ModuleList`` is cut inside it ('stacks.0'), and what is left keeps its
names: 'stacks.2' stays 'stacks.2' in a branch where 'stacks.0' and 'stacks.1' are the trunk's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

Part = tuple[str, nn.Module, str]
"""A submodule: its path, its parent and its name there."""


@dataclass(frozen=True)
class Step:
    """One step of a backbone's forward.

    Attributes:
        name: The split point 'after this step', as users type it.
        children: Paths of the submodules that only this step uses. A submodule without tensors,
            such as a ReLU, may be used by several.
        run: ``run(part, state) -> state``, where ``part`` is the backbone or what is left of it.
        freezable: The largest ``frozen_stages`` that concerns only steps up to this one.
    """

    name: str
    children: tuple[str, ...]
    run: Callable[[nn.Module, Any], Any]
    freezable: int = -1


class State(NamedTuple):
    """What most families hand from step to step.

    Attributes:
        x: The feature map that the next step gets.
        outs: Those so far that the stock forward returns.
    """

    x: Tensor
    outs: tuple[Tensor, ...] = ()


class SplitFamily(ABC):
    """A family of backbones whose forward is a sequence of steps.

    The first step receives the images (B, 3, H, W); between steps runs a :class:`State`, or one of
    the family's own choice; :meth:`features` turns the last one into what the stock forward
    returns.
    """

    name: str
    backbones: tuple[type[nn.Module], ...]
    """The classes with this forward; what inherits the forward is of the family too."""

    @classmethod
    def matches(cls, backbone: nn.Module) -> bool:
        """Return whether the steps below are this backbone's forward."""
        return any(
            isinstance(backbone, kind) and type(backbone).forward is kind.forward
            for kind in cls.backbones
        )

    @abstractmethod
    def steps(self, backbone: nn.Module) -> tuple[Step, ...]:
        """The steps, in the order in which the stock forward takes them."""

    def features(self, state: Any) -> tuple[Tensor, ...]:
        """What the stock forward returns, from the state after the last step."""
        return state.outs

    def shared(self, state: Any) -> Tensor:
        """The feature map with the highest resolution in a state between two steps."""
        return state.x

    def head_features(self, state: Any) -> Tensor | None:
        """Return the feature map below the last of :meth:`features`, if that is a heatmap."""
        return None

    def trunk_stages(self, state: Any) -> int:
        """How many leading entries of :meth:`features` are heatmaps and done in this state."""
        return 0


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
        if hasattr(backbone, 'frozen_stages'):
            backbone.frozen_stages = -1  # what is frozen is in the trunk, see find_split
        return keep_children(backbone, self.upper)


def run_steps(steps: Iterable[Step], part: nn.Module, state: Any) -> Any:
    """Take the steps one after the other."""
    for step in steps:
        state = step.run(part, state)
    return state


def owned_paths(steps: Iterable[Step]) -> set[str]:
    """Paths of the submodules that the steps own."""
    return {path for step in steps for path in step.children}


def parts(module: nn.Module, owned: set[str], prefix: str = '') -> Iterator[Part]:
    """The submodules, as a whole; but those that hold owned ones are entered."""
    for name, child in module.named_children():
        path = f'{prefix}{name}'
        if any(other.startswith(f'{path}.') for other in owned):
            yield from parts(child, owned, f'{path}.')
        else:
            yield path, module, name


def keep_children(backbone: nn.Module, steps: Iterable[Step]) -> nn.Module:
    """Delete every submodule that none of the steps owns, in place; the names of the rest stay."""
    owned = owned_paths(steps)
    for path, parent, name in list(parts(backbone, owned)):
        if path not in owned:
            delattr(parent, name)  # not `del parent[i]`: a ModuleList would renumber the rest
    return backbone
