"""ShuffleNetV1 and V2: cut after the stem or any layer."""

from __future__ import annotations

from mmpose.models.backbones import ShuffleNetV1, ShuffleNetV2

from ....registry import SPLITS
from .chain import ChainSplit, Link


@SPLITS.register_module()
class ShuffleNetSplit(ChainSplit):
    """ShuffleNets, https://arxiv.org/abs/1707.01083 and https://arxiv.org/abs/1807.11164."""

    name = 'ShuffleNet'
    backbones = (ShuffleNetV1, ShuffleNetV2)

    def links(self, backbone: ShuffleNetV1 | ShuffleNetV2) -> list[Link]:  # noqa: D102
        return [
            Link(('conv1', 'maxpool'), name='stem'),
            *(
                Link((f'layers.{i}',), i in backbone.out_indices, f'layer{i + 1}')
                for i in range(len(backbone.layers))
            ),
        ]
