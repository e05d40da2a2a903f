"""ResNet and its stock variants: cut after the stem or any layer."""

from __future__ import annotations

from mmpose.models.backbones import ResNet, ViPNAS_ResNet

from ....registry import SPLITS
from .chain import ChainSplit, Link


@SPLITS.register_module()
class ResNetSplit(ChainSplit):
    """ResNet and its subclasses with the same forward: ResNetV1d, ResNeXt, ResNeSt, SCNet, ..."""

    name = 'ResNet'
    backbones = (ResNet, ViPNAS_ResNet)

    def links(self, backbone: ResNet | ViPNAS_ResNet) -> list[Link]:  # noqa: D102
        stem: tuple[str, ...]
        if backbone.deep_stem:
            stem = ('stem', 'maxpool')
        else:
            stem = ('conv1', backbone.norm1_name, 'relu', 'maxpool')
        return [
            Link(stem, name='stem'),
            *(
                Link((layer,), returned=i in backbone.out_indices)
                for i, layer in enumerate(backbone.res_layers)
            ),
        ]
