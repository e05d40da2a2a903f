"""Convolutional pose machines: cut after any stage except the last."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from mmpose.models.backbones import CPM
from torch import Tensor, cat

from ....registry import SPLITS
from .base import SplitFamily, Step


class State(NamedTuple):
    """State between two stages.

    Attributes:
        image_features: Features of the image that all stages after the first read.
        outs: Heatmaps of the stages so far.
        below: Feature map that the last heatmaps were made of. None after the first stage.
    """

    image_features: Tensor
    outs: tuple[Tensor, ...]
    below: Tensor | None = None


@SPLITS.register_module()
class CPMSplit(SplitFamily):
    """CPM, https://arxiv.org/abs/1602.00134. The first stage owns the image features too."""

    name = 'CPM'
    backbones = (CPM,)

    def steps(self, backbone: CPM) -> tuple[Step, ...]:  # noqa: D102
        later = (
            Step(
                f'stage{index + 2}',
                (f'middle_conv.{index}', f'cpm_stages.{index}', f'out_convs.{index}'),
                partial(_run_stage, index=index),
            )
            for index in range(backbone.num_stages - 1)
        )
        return (Step('stage1', ('stem', 'middle'), _run_first), *later)

    def shared(self, state: State) -> Tensor:  # noqa: D102
        return state.image_features

    def head_features(self, state: State) -> Tensor | None:  # noqa: D102
        return state.below

    def trunk_stages(self, state: State) -> int:  # noqa: D102
        return len(state.outs)


def _run_first(part: CPM, images: Tensor) -> State:
    return State(part.middle(images), (part.stem(images),))


def _run_stage(part: CPM, state: State, index: int) -> State:
    def run(name: str, x: Tensor) -> Tensor:
        return part.get_submodule(f'{name}.{index}')(x)

    context = cat([state.outs[-1], run('middle_conv', state.image_features)], dim=1)
    below, to_heatmaps = part.get_submodule(f'out_convs.{index}')
    features = below(run('cpm_stages', context))
    return State(state.image_features, (*state.outs, to_heatmaps(features)), features)
