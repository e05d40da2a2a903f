"""CSPNeXt: cut after the stem or any stage."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmpose.models.backbones import CSPNeXt

from ....registry import SPLITS
from .chain import ChainSplit, Link


@SPLITS.register_module()
class CSPNeXtSplit(ChainSplit):
    """CSPNeXt, the backbone of RTMDet and RTMPose, https://arxiv.org/abs/2212.07784."""

    name = 'CSPNeXt'
    backbones = (CSPNeXt,)

    @classmethod
    def matches(cls, backbone: BaseModule) -> bool:  # noqa: D102
        # Stock configs use mmdet's CSPNeXt. That of mmpose is a copy of it.
        return super().matches(backbone) or (
            type(backbone).__module__ == 'mmdet.models.backbones.cspnext'
        )

    def links(self, backbone: CSPNeXt) -> list[Link]:  # noqa: D102
        return [
            Link((layer,), i in backbone.out_indices) for i, layer in enumerate(backbone.layers)
        ]
