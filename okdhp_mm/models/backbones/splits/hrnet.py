"""HRNet: cut after layer1, stage2 or stage3."""

from __future__ import annotations

from mmpose.models.backbones import HRNet
from torch import Tensor, nn

from ....registry import SPLITS
from .base import SplitFamily, Step

State = list[Tensor]
"""One feature map per resolution, the highest first."""


@SPLITS.register_module()
class HRNetSplit(SplitFamily):
    """HRNet, https://arxiv.org/abs/1902.09212. The features are one map per resolution."""

    name = 'HRNet'
    backbones = (HRNet,)

    def steps(self, backbone: HRNet) -> tuple[Step, ...]:  # noqa: D102
        stem = ('conv1', backbone.norm1_name, 'conv2', backbone.norm2_name, 'relu', 'layer1')
        # _freeze_stages(i) also freezes transition{i}, which belongs to the step after stage i.
        return (
            Step('layer1', stem, _run_stem, freezable=0),
            Step('stage2', ('transition1', 'stage2'), _run_stage2, freezable=1),
            Step('stage3', ('transition2', 'stage3'), _run_stage3, freezable=2),
            Step('stage4', ('transition3', 'stage4'), _run_stage4, freezable=4),
        )

    def features(self, state: State) -> tuple[Tensor, ...]:  # noqa: D102
        return tuple(state)

    def shared(self, state: State) -> Tensor:  # noqa: D102
        return state[0]


def _run_stem(part: HRNet, images: Tensor) -> State:
    x = part.relu(part.norm1(part.conv1(images)))
    x = part.relu(part.norm2(part.conv2(x)))
    return [part.layer1(x)]


def _run_stage2(part: HRNet, state: State) -> State:
    return part.stage2(_transit(part.transition1, state))


def _run_stage3(part: HRNet, state: State) -> State:
    return part.stage3(_transit(part.transition2, state))


def _run_stage4(part: HRNet, state: State) -> State:
    return part.stage4(_transit(part.transition3, state))


def _transit(transition: nn.ModuleList, state: State) -> State:
    """Compute the input of the next stage: keep a resolution, or derive it from the lowest one."""
    return [state[i] if layer is None else layer(state[-1]) for i, layer in enumerate(transition)]
