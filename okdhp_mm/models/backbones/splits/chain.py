"""Chains: a stem, then layers, each fed by the one before; some of their outputs are returned."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from .base import SplitFamily, State, Step


class Link(NamedTuple):
    """One step of a chain.

    Attributes:
        modules: Paths of the submodules that run one after the other; the last one's names the
            split point, unless ``name`` does.
        returned: Whether the stock forward returns the output.
        name: The split point after it.
    """

    modules: tuple[str, ...]
    returned: bool = False
    name: str = ''


class ChainSplit(SplitFamily):
    """Backbones that are chains, whose ``frozen_stages`` counts the steps after the first."""

    @abstractmethod
    def links(self, backbone: nn.Module) -> list[Link]:
        """The chain, from the images on."""

    def steps(self, backbone: nn.Module) -> tuple[Step, ...]:  # noqa: D102
        first, *rest = self.links(backbone)
        return (
            Step(_name(first), first.modules, partial(_enter, link=first), freezable=0),
            *(
                Step(_name(link), link.modules, partial(_pass, link=link), freezable=i)
                for i, link in enumerate(rest, 1)
            ),
        )


def _name(link: Link) -> str:
    return link.name or link.modules[-1]


def _enter(part: nn.Module, images: Tensor, link: Link) -> State:
    return _pass(part, State(images), link)


def _pass(part: nn.Module, state: State, link: Link) -> State:
    x = state.x
    for path in link.modules:
        x = part.get_submodule(path)(x)
    return State(x, (*state.outs, x) if link.returned else state.outs)
