"""Adapter of heads that predict SimCC distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs.utils import get_simcc_normalized
from mmpose.evaluation.functional import simcc_pck_accuracy
from mmpose.models.heads import BaseHead, RTMCCHead, RTMWHead, SimCCHead
from mmpose.models.utils.tta import flip_vectors
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from ....registry import HEAD_ADAPTERS
from ....structures import Criterion, distributions
from ...geometry import flat_peaks, warp
from .base import HeadAdapter

SMALLEST = 1e-8
"""Smallest share of a bin in maps that are made of labels. The logarithm of 0 is not finite."""


@HEAD_ADAPTERS.register_module()
class SimCCAdapter(HeadAdapter):
    """Adapter of heads that predict two distributions per keypoint, over the bins of x and of y.

    A map holds the logits of x and y side by side, (B, K, 1, Lx + Ly). A weighted sum over the
    branches is a sum of logits, so the distributions of the ensemble are the normalized weighted
    geometric means of those of the branches.
    """

    losses = (SimCCHead.loss, RTMCCHead.loss, RTMWHead.loss)
    encoded = 'keypoint_x_labels'
    rotates = False  # The distributions of a rotated image are not those of x and of y.
    map_names = ('simcc_x', 'simcc_y')
    map_doc = '(batch, {keypoints}, bins) per axis, {codec}'

    def __init__(self, head: BaseHead):
        super().__init__(head)
        # The heads compute the widths of their last layers in the same way.
        self.bins = tuple(int(length * head.simcc_split_ratio) for length in head.input_size)
        # Losses of other classes have no inverse temperature.
        self.beta = getattr(head.loss_module, 'beta', 1.0)

    @property
    def signature(self) -> str:  # noqa: D102
        return f'SimCC distributions over {self.bins} bins with beta={self.beta}'

    @property
    def kl_defaults(self) -> dict[str, Any]:  # noqa: D102
        return dict(reduction='simcc', temperature=1 / self.beta)

    def to_maps(self, output: Any) -> tuple[Tensor, ...]:  # noqa: D102
        return (_side_by_side(*output),)

    def to_output(self, maps: Tensor) -> tuple[Tensor, ...]:  # noqa: D102
        return distributions(maps.squeeze(-2), self.bins)

    def tensors(self, output: Any) -> tuple[Tensor, ...]:  # noqa: D102
        return tuple(output)

    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> Tensor:  # noqa: D102
        encoded = self.head.decoder.encode(keypoints, visible)
        labels = (torch.from_numpy(encoded[f'keypoint_{axis}_labels']) for axis in 'xy')
        return _side_by_side(*labels)

    def targets(self, samples: list[PoseDataSample]) -> Tensor:  # noqa: D102
        labels = [sample.gt_instance_labels for sample in samples]
        return _side_by_side(
            torch.cat([label.keypoint_x_labels for label in labels]),
            torch.cat([label.keypoint_y_labels for label in labels]),
        )

    def targets_to_maps(self, targets: Tensor) -> Tensor:  # noqa: D102
        shares = [share.clamp_min(SMALLEST) for share in self._target_probabilities(targets)]
        return _side_by_side(*(share.log() / self.beta for share in shares))

    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:  # noqa: D102
        return (self._loss,) * num_stages

    def _loss(self, maps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return self.head.loss_module(self.to_output(maps), self.to_output(targets), weights)

    def flip(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:  # noqa: D102
        return _side_by_side(*flip_vectors(*self.to_output(maps), flip_indices=flip_indices))

    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:  # noqa: D102
        # SimCCHead normalizes the heights of the peaks; the later heads keep them.
        sigmas = self.head.decoder.sigma if isinstance(self.head, SimCCHead) else (None, None)
        outputs = zip(self.to_output(maps.detach()), sigmas, strict=True)
        x, y = (get_simcc_normalized(vectors, sigma) for vectors, sigma in outputs)
        for prediction, own_x, own_y in zip(predictions, to_numpy(x), to_numpy(y), strict=True):
            prediction.keypoint_x_labels = own_x[None]
            prediction.keypoint_y_labels = own_y[None]
        return [PixelData(heatmaps=heatmaps) for heatmaps in _outer(x, y)]

    def accuracy(self, maps: Tensor, targets: Tensor, labeled: np.ndarray) -> float:  # noqa: D102
        output, target = (to_numpy(self.to_output(both)) for both in (maps, targets))
        return simcc_pck_accuracy(output, target, self.head.simcc_split_ratio, labeled)[1]

    def peaks(self, maps: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        found = [flat_peaks(shares.unsqueeze(-2)) for shares in self._probabilities(maps)]
        places = torch.stack([at for (at, _), _ in found], -1) / self.head.simcc_split_ratio
        heights = [
            height * full for (_, height), full in zip(found, self._label_widths(), strict=True)
        ]
        return places, torch.minimum(*heights).clamp(max=1)

    def _label_widths(self) -> tuple[float, float]:
        """Return the inverse height of a label's distribution of x and of y."""
        codec = self.head.decoder
        if getattr(codec, 'smoothing_type', 'gaussian') != 'gaussian':
            return 1.0, 1.0
        x, y = (math.sqrt(2 * math.pi) * float(sigma) for sigma in codec.sigma)
        return x, y

    def warp(self, maps: Tensor, linear: Tensor, offset: Tensor) -> Tensor:  # noqa: D102
        moved = []
        for axis, logits in enumerate(distributions(maps, self.bins)):
            along = torch.zeros_like(linear)
            along[:, 0, 0] = linear[:, axis, axis]
            shift = torch.zeros_like(offset)
            shift[:, 0] = offset[:, axis] * self.head.simcc_split_ratio
            moved.append(warp(logits, along, shift, padding='border'))
        return torch.cat(moved, -1)

    def difference(self, maps: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return _side_by_side(*self._probabilities(maps)) - _side_by_side(
            *self._target_probabilities(targets)
        )

    def to_display(self, maps: Tensor) -> Tensor:  # noqa: D102
        return self._heatmap(self._probabilities(maps))

    def targets_to_display(self, targets: Tensor) -> Tensor:  # noqa: D102
        # The label of an unlabeled keypoint is zero everywhere. Draw nothing for it.
        labels = zip(self._target_probabilities(targets), self.to_output(targets), strict=True)
        return self._heatmap([shares * label.any(-1, keepdim=True) for shares, label in labels])

    def _heatmap(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Multiply the probabilities of cells of 4 pixels, because single bins are too small."""
        cells = (
            F.adaptive_avg_pool1d(own.flatten(0, -2), length // 4).unflatten(0, own.shape[:-1])
            * (own.shape[-1] / (length // 4))
            for own, length in zip(probabilities, self.head.input_size, strict=True)
        )
        return _outer(*cells)

    def _probabilities(self, maps: Tensor) -> list[Tensor]:
        """Return the probabilities of the bins of x and of y, (..., Lx) and (..., Ly)."""
        return [torch.softmax(logits.float() * self.beta, -1) for logits in self.to_output(maps)]

    def _target_probabilities(self, targets: Tensor) -> list[Tensor]:
        """Return the probabilities of the labels, as the head's loss reads them."""
        loss, labels = self.head.loss_module, self.to_output(targets)
        if not getattr(loss, 'label_softmax', False):
            return list(labels)
        return [torch.softmax(label * loss.label_beta, -1) for label in labels]


def _side_by_side(x: Tensor, y: Tensor) -> Tensor:
    """Concatenate (..., Lx) and (..., Ly) to (..., 1, Lx + Ly)."""
    return torch.cat((x, y), dim=-1).unsqueeze(-2)


def _outer(x: Tensor, y: Tensor) -> Tensor:
    """Multiply (..., Lx) and (..., Ly) to (..., Ly, Lx)."""
    return torch.matmul(y.unsqueeze(-1), x.unsqueeze(-2))
