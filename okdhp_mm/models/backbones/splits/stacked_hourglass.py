"""The paper's hourglass: cut after the stem, or after any stack except the last."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ....registry import SPLITS
from ..stacked_hourglass import StackedHourglass
from .base import SplitFamily, State, Step


@SPLITS.register_module()
class StackedHourglassSplit(SplitFamily):
    """StackedHourglass. The links after a stack belong to it, so the trunk includes them."""

    name = 'StackedHourglass'
    backbones = (StackedHourglass,)

    def steps(self, backbone: StackedHourglass) -> tuple[Step, ...]:  # noqa: D102
        stacks = (
            Step(f'stack{s + 1}', (f'stacks.{s}',), partial(_run_stack, path=f'stacks.{s}'))
            for s in range(len(backbone.stacks))
        )
        return (Step('stem', ('stem',), _run_stem), *stacks)

    def head_features(self, state: State) -> Tensor:  # noqa: D102
        return state.x

    def trunk_stages(self, state: State) -> int:  # noqa: D102
        return len(state.outs)


def _run_stem(part: StackedHourglass, images: Tensor) -> State:
    part.check_size(images)
    return State(part.stem(images))


def _run_stack(part: StackedHourglass, state: State, path: str) -> State:
    x, score = part.get_submodule(path)(state.x)
    return State(x, (*state.outs, score))
