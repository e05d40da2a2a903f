"""Adapter of heads that predict heatmaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmengine.utils import is_seq_of
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads import BaseHead, CPMHead, HeatmapHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from ....errors import UserError
from ....registry import HEAD_ADAPTERS
from ....structures import Criterion
from ...geometry import flat_peaks, refined, scaled, warp
from .base import Features, HeadAdapter


@HEAD_ADAPTERS.register_module()
class HeatmapAdapter(HeadAdapter):
    """Adapter of heads that predict one heatmap per keypoint, in one stage or several."""

    losses = (HeatmapHead.loss, CPMHead.loss)
    encoded = 'heatmaps'
    signature = 'heatmaps'

    def __init__(self, head: BaseHead):
        super().__init__(head)
        # Pixels of the image from one pixel of a heatmap to the next, in x and y. Read once: a
        # compiled step would take the codec's array for a tensor, and end its graph at each number.
        self.scale = tuple(map(float, getattr(head.decoder, 'scale_factor', ())))
        if getattr(head.decoder, 'heatmap_type', 'gaussian') == 'combined':
            raise UserError(
                f"The codec {type(head.decoder).__name__} has heatmap_type='combined'. Two of its "
                'three channels per keypoint are offsets, which are not a distribution over '
                "pixels. Use heatmap_type='gaussian'."
            )
        if isinstance(head, CPMHead):
            layers = zip(head.multi_deconv_layers, head.multi_final_layers, strict=True)
            self.passed_stages = tuple(
                all(isinstance(layer, nn.Identity) for layer in pair) for pair in layers
            )

    def forward(self, feats: Features) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Run the head. The layers of a stock forward are called one by one."""
        head, run = self.head, type(self.head).forward
        if run is HeatmapHead.forward:
            features = head.conv_layers(head.deconv_layers(feats[-1]))
            return (head.final_layer(features),), _below(head.final_layer, features)
        if run is CPMHead.forward and len(feats) == head.num_stages:
            features = [layer(x) for layer, x in zip(head.multi_deconv_layers, feats, strict=True)]
            final_heatmaps = head.multi_final_layers
            maps = tuple(layer(x) for layer, x in zip(final_heatmaps, features, strict=True))
            return maps, _below(final_heatmaps[-1], features[-1])
        # A subclass with its own forward registers its own adapter if it has such a feature map.
        return super().forward(feats)

    def to_maps(self, output: Any) -> tuple[Tensor, ...]:  # noqa: D102
        return tuple(output) if is_seq_of(output, Tensor) else (output,)

    def to_output(self, maps: Tensor) -> Tensor:  # noqa: D102
        return maps

    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> Tensor:  # noqa: D102
        encoded = self.head.decoder.encode(keypoints, visible)
        return torch.from_numpy(encoded['heatmaps'])[None]

    def targets(self, samples: list[PoseDataSample]) -> Tensor:  # noqa: D102
        heatmaps = [sample.gt_fields.heatmaps for sample in samples]
        if len(shapes := {tuple(maps.shape) for maps in heatmaps}) > 1:
            raise UserError(
                f'Persons of one batch have heatmaps of shapes {sorted(shapes)} (K, H, W). '
                'All annotations must have the keypoints of the metainfo and use one codec.'
            )
        return torch.stack(heatmaps)

    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:  # noqa: D102
        losses = self.head.loss_module
        return tuple(losses) if isinstance(losses, nn.ModuleList) else (losses,) * num_stages

    def flip(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:  # noqa: D102
        return flip_heatmaps(
            maps,
            flip_mode=test_cfg.get('flip_mode', 'heatmap'),
            flip_indices=flip_indices,
            shift_heatmap=test_cfg.get('shift_heatmap', False),
        )

    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:  # noqa: D102
        return [PixelData(heatmaps=heatmaps) for heatmaps in maps.detach()]

    def peaks(self, maps: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        (x, y), heights = flat_peaks(maps)
        places = refined(maps, x, y)
        pixels = [at * length for at, length in zip(places, self.scale, strict=True)]
        return torch.stack(pixels, -1), heights

    def warp(self, maps: Tensor, linear: Tensor, offset: Tensor) -> Tensor:  # noqa: D102
        return warp(maps, *scaled(linear, offset, self.scale))

    def accuracy(self, maps: Tensor, targets: Tensor, labeled: np.ndarray) -> float:  # noqa: D102
        return pose_pck_accuracy(to_numpy(maps), to_numpy(targets), labeled)[1]


def _below(final_layer: nn.Module, features: Tensor) -> Tensor | None:
    """Return the input of the final layer, or None if the head has no such layer."""
    return None if isinstance(final_layer, nn.Identity) else features
