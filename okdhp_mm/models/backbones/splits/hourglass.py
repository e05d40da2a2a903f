"""mmpose's hourglass: cut after the stem, or after any stack except the last."""

from __future__ import annotations

from functools import partial

from mmpose.models.backbones import HourglassNet
from torch import Tensor

from ....registry import SPLITS
from .base import SplitFamily, State, Step


@SPLITS.register_module()
class HourglassSplit(SplitFamily):
    """HourglassNet, CornerNet's hourglass. A stack includes the layers that lead to the next one.

    The head converts its features to heatmaps, and every branch has its own head. So the trunk has
    no heatmaps, unlike that of ``StackedHourglass`` in this package.
    """

    name = 'HourglassNet'
    backbones = (HourglassNet,)

    def steps(self, backbone: HourglassNet) -> tuple[Step, ...]:  # noqa: D102
        stacks = backbone.num_stacks
        # With one stack, the stock network has a block after it that it never runs.
        links = [
            tuple(f'{name}.{s}' for name in ('conv1x1s', 'remap_convs', 'inters'))
            for s in range(stacks - 1)
        ]
        links.append(() if links else ('conv1x1s', 'remap_convs', 'inters'))
        return (
            Step('stem', ('stem',), _run_stem),
            *(
                Step(
                    f'stack{s + 1}',
                    (f'hourglass_modules.{s}', f'out_convs.{s}', *links[s], 'relu'),
                    partial(_run_stack, index=s, last=s == stacks - 1),
                )
                for s in range(stacks)
            ),
        )


def _run_stem(part: HourglassNet, images: Tensor) -> State:
    return State(part.stem(images))


def _run_stack(part: HourglassNet, state: State, index: int, last: bool) -> State:
    def run(name: str, x: Tensor) -> Tensor:
        return part.get_submodule(f'{name}.{index}')(x)

    out = run('out_convs', run('hourglass_modules', state.x))
    x = state.x
    if not last:
        x = run('inters', part.relu(run('conv1x1s', x) + run('remap_convs', out)))
    return State(x, (*state.outs, out))
