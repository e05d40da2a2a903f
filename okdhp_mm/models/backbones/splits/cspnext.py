"""CSPNeXt: cut after the stem or any stage."""

from __future__ import annotations

from mmpose.models.backbones import CSPNeXt

from .chain import ChainSplit, Link


class CSPNeXtSplit(ChainSplit):
    """CSPNeXt, the backbone of RTMDet and RTMPose, https://arxiv.org/abs/2212.07784."""

    name = 'CSPNeXt'
    backbones = (CSPNeXt,)

    def links(self, backbone: CSPNeXt) -> list[Link]:  # noqa: D102
        return [
            Link((layer,), i in backbone.out_indices) for i, layer in enumerate(backbone.layers)
        ]
