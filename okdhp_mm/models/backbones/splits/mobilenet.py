"""MobileNetV2, MobileNetV3 and ViPNAS's MobileNetV3: cut after conv1 or any layer."""

from __future__ import annotations

from mmpose.models.backbones import MobileNetV2, MobileNetV3, ViPNAS_MobileNetV3

from ....registry import SPLITS
from .chain import ChainSplit, Link


@SPLITS.register_module()
class MobileNetSplit(ChainSplit):
    """MobileNets, https://arxiv.org/abs/1801.04381 and https://arxiv.org/abs/1905.02244."""

    name = 'MobileNet'
    backbones = (MobileNetV2, MobileNetV3, ViPNAS_MobileNetV3)

    def links(self, backbone: MobileNetV2 | MobileNetV3 | ViPNAS_MobileNetV3) -> list[Link]:  # noqa: D102
        # ViPNAS_MobileNetV3 always returns the last layer. MobileNetV3 calls that layer -1.
        returned = {
            index % len(backbone.layers) for index in getattr(backbone, 'out_indices', [-1])
        }
        return [
            Link(('conv1',)),
            *(Link((layer,), i in returned) for i, layer in enumerate(backbone.layers)),
        ]
