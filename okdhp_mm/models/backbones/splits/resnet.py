"""ResNet and its stock variants: cut after any layer."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from mmpose.models.backbones import ResNet
from torch import Tensor, nn

from .base import SplitFamily, Step


class State(NamedTuple):
    """The feature map so far, and those that the stock forward returns."""

    x: Tensor
    outs: tuple[Tensor, ...] = ()


class ResNetSplit(SplitFamily):
    """ResNet and what inherits its forward: ResNetV1d, ResNeXt, SEResNet, SCNet, ..."""

    name = 'ResNet'

    def matches(self, backbone: nn.Module) -> bool:  # noqa: D102
        return isinstance(backbone, ResNet) and type(backbone).forward is ResNet.forward

    def steps(self, backbone: ResNet) -> tuple[Step, ...]:  # noqa: D102
        if backbone.deep_stem:
            stem = ('stem', 'maxpool')
        else:
            stem = ('conv1', backbone.norm1_name, 'relu', 'maxpool')
        layers = [
            Step(name, (name,), partial(_run_layer, index=i, name=name), freezable=i + 1)
            for i, name in enumerate(backbone.res_layers)
        ]
        return (Step('stem', stem, _run_stem, freezable=0), *layers)

    def features(self, state: State) -> tuple[Tensor, ...]:  # noqa: D102
        return state.outs

    def shared(self, state: State) -> Tensor:  # noqa: D102
        return state.x


def _run_stem(part: ResNet, images: Tensor) -> State:
    x = part.stem(images) if part.deep_stem else part.relu(part.norm1(part.conv1(images)))
    return State(part.maxpool(x))


def _run_layer(part: ResNet, state: State, index: int, name: str) -> State:
    x = part.get_submodule(name)(state.x)
    return State(x, (*state.outs, x) if index in part.out_indices else state.outs)
