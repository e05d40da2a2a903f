"""Lite-HRNet: cut after the stem or any stage."""

from __future__ import annotations

from functools import partial

from mmpose.models.backbones import LiteHRNet
from torch import Tensor

from ....registry import SPLITS
from .base import SplitFamily, Step

State = list[Tensor]
"""One feature map per resolution, the highest first."""


@SPLITS.register_module()
class LiteHRNetSplit(SplitFamily):
    """Lite-HRNet, https://arxiv.org/abs/2104.06403. It has no ``frozen_stages``."""

    name = 'LiteHRNet'
    backbones = (LiteHRNet,)

    def steps(self, backbone: LiteHRNet) -> tuple[Step, ...]:  # noqa: D102
        stages = [
            Step(f'stage{i}', (f'transition{i}', f'stage{i}'), partial(_run_stage, index=i))
            for i in range(backbone.num_stages)
        ]
        head = [Step('head_layer', ('head_layer',), _run_head)] if backbone.with_head else []
        return (Step('stem', ('stem',), _run_stem), *stages, *head)

    def features(self, state: State) -> tuple[Tensor, ...]:  # noqa: D102
        return (state[0],)

    def shared(self, state: State) -> Tensor:  # noqa: D102
        return state[0]


def _run_stem(part: LiteHRNet, images: Tensor) -> State:
    return [part.stem(images)]


def _run_stage(part: LiteHRNet, state: State, index: int) -> State:
    maps = [
        (state[i] if i < len(state) else state[-1], layer)
        for i, layer in enumerate(part.get_submodule(f'transition{index}'))
    ]
    # The stage writes into its input, so it gets a new list.
    return part.get_submodule(f'stage{index}')(
        [x if layer is None else layer(x) for x, layer in maps]
    )


def _run_head(part: LiteHRNet, state: State) -> State:
    return part.head_layer(state)
