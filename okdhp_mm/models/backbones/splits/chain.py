"""Chains: a stem, then layers. Each takes the output of the one before; some are returned."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import NamedTuple

from mmengine.model import BaseModule
from torch import Tensor

from .base import SplitFamily, State, Step


class Link(NamedTuple):
    """One step of a chain.

    Attributes:
        modules: Paths of the submodules that run one after the other.
        returned: Whether the stock forward returns the output.
        name: Name of the split point after this step. Default: the path of the last module.
    """

    modules: tuple[str, ...]
    returned: bool = False
    name: str = ''


class ChainSplit(SplitFamily):
    """Family of backbones that are chains. ``frozen_stages`` counts the steps after the first."""

    @abstractmethod
    def links(self, backbone: BaseModule) -> list[Link]:
        """Return the links of the chain, starting at the images."""

    def steps(self, backbone: BaseModule) -> tuple[Step, ...]:  # noqa: D102
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


def _enter(part: BaseModule, images: Tensor, link: Link) -> State:
    return _pass(part, State(images), link)


def _pass(part: BaseModule, state: State, link: Link) -> State:
    x = state.x
    for path in link.modules:
        x = part.get_submodule(path)(x)
    return State(x, (*state.outs, x) if link.returned else state.outs)
