"""Cut a stock backbone into a trunk and a top without changing its code.

A step owns submodules, and parameters outside of submodules, by their paths. Most are children of
the backbone ('layer1'). A network with its stages in a ``ModuleList`` is cut inside the list
('stacks.0'). The remaining submodules keep their names: 'stacks.2' stays 'stacks.2' in a branch if
the trunk owns 'stacks.0' and 'stacks.1'.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, nn

Part = tuple[str, nn.Module, str]
"""A submodule or parameter: its path, its parent and its name there."""


@dataclass(frozen=True)
class Step:
    """One step of a backbone's forward.

    Attributes:
        name: Name of the split point after this step, used in configs.
        children: Paths of the submodules, and of parameters outside of submodules, that only this
            step uses. Several steps may share a submodule without tensors, such as a ReLU.
        run: ``run(part, state) -> state``, where ``part`` is the backbone or a cut part of it.
        freezable: The largest ``frozen_stages`` that freezes only steps up to this one.
    """

    name: str
    children: tuple[str, ...]
    run: Callable[[BaseModule, Any], Any]
    freezable: int = -1


class State(NamedTuple):
    """State between two steps of most families.

    Attributes:
        x: Input of the next step.
        outs: Feature maps so far that the stock forward returns.
    """

    x: Tensor
    outs: tuple[Tensor, ...] = ()


class SplitFamily(ABC):
    """Base class of families of backbones with a forward that is a sequence of steps.

    The first step receives the images (B, 3, H, W). Each step returns a :class:`State`, or a state
    of a type that the family defines. :meth:`features` converts the last state to the output of
    the stock forward.
    """

    name: str
    backbones: tuple[type[nn.Module], ...]
    """Classes with this forward. Subclasses that inherit the forward match too."""

    @classmethod
    def matches(cls, backbone: BaseModule) -> bool:
        """Return whether the steps below are this backbone's forward."""
        return any(
            isinstance(backbone, kind) and type(backbone).forward is kind.forward
            for kind in cls.backbones
        )

    @abstractmethod
    def steps(self, backbone: BaseModule) -> tuple[Step, ...]:
        """Return the steps in the order of the stock forward."""

    def features(self, state: Any) -> tuple[Tensor, ...]:
        """Convert the state after the last step to the output of the stock forward."""
        return state.outs

    def shared(self, state: Any) -> Tensor:
        """Return the feature map with the highest resolution in a state between two steps."""
        return state.x

    def head_features(self, state: Any) -> Tensor | None:
        """Return the feature map below the last of :meth:`features`, if that is a heatmap."""
        return None

    def trunk_stages(self, state: Any) -> int:
        """Return the number of leading :meth:`features` that are heatmaps, complete by now."""
        return 0


@dataclass(frozen=True)
class Split:
    """Split of a backbone: its family, and the steps below and above the split point."""

    family: SplitFamily
    lower: tuple[Step, ...]
    upper: tuple[Step, ...]

    @property
    def name(self) -> str:
        """Return the name of the split point."""
        return self.lower[-1].name

    def cut(self, backbone: BaseModule) -> tuple[BaseModule, BaseModule]:
        """Divide a backbone into its trunk and its top. The backbone becomes the trunk."""
        below, above = owned_paths(self.lower), owned_paths(self.upper)
        places = [place for place in parts(backbone, above) if place[0] not in below & above]
        # deepcopy shares what is in its memo. So it copies only what is around the parts.
        top = copy.deepcopy(backbone, {id(part): part for part in map(part_of, places)})
        if hasattr(top, 'frozen_stages'):
            top.frozen_stages = -1  # Only the trunk has frozen stages, see find_split.
        return keep_children(backbone, self.lower), keep_children(top, self.upper)


def run_steps(steps: Iterable[Step], part: BaseModule, state: Any) -> Any:
    """Run the steps one after the other."""
    for step in steps:
        state = step.run(part, state)
    return state


def owned_paths(steps: Iterable[Step]) -> set[str]:
    """Return the paths of the submodules that the steps own."""
    return {path for step in steps for path in step.children}


def parts(module: nn.Module, owned: set[str], prefix: str = '') -> Iterator[Part]:
    """Yield the submodules and parameters; of submodules that hold owned ones, yield the parts."""
    for name, _ in module.named_parameters(recurse=False):
        yield f'{prefix}{name}', module, name
    for name, child in module.named_children():
        path = f'{prefix}{name}'
        if any(other.startswith(f'{path}.') for other in owned):
            yield from parts(child, owned, f'{path}.')
        else:
            yield path, module, name


def part_of(place: Part) -> nn.Module | nn.Parameter:
    """Return the submodule or parameter at a place."""
    _, parent, name = place
    return getattr(parent, name)


def keep_children(backbone: BaseModule, steps: Iterable[Step]) -> BaseModule:
    """Delete, in place, everything that no step owns. The rest keeps its names."""
    owned = owned_paths(steps)
    for path, parent, name in list(parts(backbone, owned)):
        if path in owned:
            continue
        if isinstance(part_of((path, parent, name)), nn.Parameter):
            parent.register_parameter(name, None)  # initializers ask for it
        else:
            delattr(parent, name)  # not `del parent[i]`: a ModuleList would renumber the rest
    return backbone
