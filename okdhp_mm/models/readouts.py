"""What the output of a stock head means: how it becomes maps, and maps become keypoints again.

Everything between a head and its decoder knows maps, (B, K, H, W), alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData
from mmengine.utils import is_seq_of
from mmpose.codecs.utils import get_simcc_normalized
from mmpose.evaluation.functional import pose_pck_accuracy, simcc_pck_accuracy
from mmpose.models.heads import CPMHead, HeatmapHead, RTMCCHead, RTMWHead, SimCCHead, VisPredictHead
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from ..errors import UserError
from ..structures import Criterion, distributions


class Readout(ABC):
    """How one stock head's output is read.

    Args:
        head: The head, built.

    Attributes:
        losses: The ``loss`` methods of the heads that are read so; what inherits one is as well.
        encoded: What the codec of such a head encodes.
        bins: See :class:`~okdhp_mm.structures.BranchOutputs`.
        teaching: See :class:`~okdhp_mm.structures.Sizes`.
        passed_stages: For every stage, whether its features leave the head as they came.
    """

    losses: tuple
    encoded: str
    bins: tuple[int, ...] = ()
    teaching: dict[str, Any] = {}
    passed_stages: tuple[bool, ...] = (False,)

    def __init__(self, head: nn.Module):
        self.head = head

    @property
    @abstractmethod
    def form(self) -> str:
        """What the head predicts, in words: branches can be combined where they are equal."""

    @abstractmethod
    def stages(self, output: Any) -> tuple[Tensor, ...]:
        """The maps of every stage of what the head gives, S x (B, K, H, W)."""

    @abstractmethod
    def output(self, maps: Tensor) -> Any:
        """What the head would give for the maps of one stage."""

    @abstractmethod
    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> Tensor:
        """Target maps of keypoints in the input image, (1, K, H, W)."""

    @abstractmethod
    def targets(self, samples: list[PoseDataSample]) -> Tensor:
        """Target maps that the data pipeline has encoded, (B, K, H, W)."""

    @abstractmethod
    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:
        """The stock head's loss of every stage."""

    @abstractmethod
    def flipped(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:
        """What the maps of a mirrored image say of the image itself."""

    @abstractmethod
    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:
        """What the stock head adds to its predictions with ``output_heatmaps``."""

    @abstractmethod
    def accuracy(self, maps: Tensor, targets: Tensor, labelled: np.ndarray) -> float:
        """Share of keypoints within 5 % of the image's size, as the stock head logs it."""

    @abstractmethod
    def difference(self, maps: Tensor, targets: Tensor) -> Tensor:
        """See :class:`~okdhp_mm.structures.Targets`."""

    @abstractmethod
    def pictures(self, maps: Tensor) -> Tensor:
        """Maps as something to look at, (..., H, W)."""

    @abstractmethod
    def target_pictures(self, targets: Tensor) -> Tensor:
        """Target maps as something to look at, (..., H, W)."""


class HeatmapReadout(Readout):
    """A heatmap per keypoint, of one stage or several."""

    losses = (HeatmapHead.loss, CPMHead.loss)
    encoded = 'heatmaps'
    form = 'heatmaps'

    def __init__(self, head: nn.Module):
        super().__init__(head)
        if getattr(head.decoder, 'heatmap_type', 'gaussian') == 'combined':
            raise UserError(
                f"The codec {type(head.decoder).__name__} has heatmap_type='combined': two of its "
                'three channels per keypoint are offsets, which no distribution over pixels '
                "describes; use 'gaussian'."
            )
        if isinstance(head, CPMHead):
            layers = zip(head.multi_deconv_layers, head.multi_final_layers, strict=True)
            self.passed_stages = tuple(
                all(isinstance(layer, nn.Identity) for layer in pair) for pair in layers
            )

    def stages(self, output: Any) -> tuple[Tensor, ...]:  # noqa: D102
        return tuple(output) if is_seq_of(output, Tensor) else (output,)

    def output(self, maps: Tensor) -> Tensor:  # noqa: D102
        return maps

    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> Tensor:  # noqa: D102
        encoded = self.head.decoder.encode(keypoints, visible)
        return torch.from_numpy(encoded['heatmaps'])[None]

    def targets(self, samples: list[PoseDataSample]) -> Tensor:  # noqa: D102
        heatmaps = [sample.gt_fields.heatmaps for sample in samples]
        if len(shapes := {tuple(maps.shape) for maps in heatmaps}) > 1:
            raise UserError(
                f'Persons of one batch have heatmaps of shapes {sorted(shapes)} (K, H, W); '
                'annotations must all have the keypoints of the metainfo, and one codec.'
            )
        return torch.stack(heatmaps)

    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:  # noqa: D102
        losses = self.head.loss_module
        return tuple(losses) if isinstance(losses, nn.ModuleList) else (losses,) * num_stages

    def flipped(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:  # noqa: D102
        return flip_heatmaps(
            maps,
            flip_mode=test_cfg.get('flip_mode', 'heatmap'),
            flip_indices=flip_indices,
            shift_heatmap=test_cfg.get('shift_heatmap', False),
        )

    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:  # noqa: D102
        return [PixelData(heatmaps=heatmaps) for heatmaps in maps.detach()]

    def accuracy(self, maps: Tensor, targets: Tensor, labelled: np.ndarray) -> float:  # noqa: D102
        return pose_pck_accuracy(to_numpy(maps), to_numpy(targets), labelled)[1]

    def difference(self, maps: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return maps - targets

    def pictures(self, maps: Tensor) -> Tensor:  # noqa: D102
        return maps

    def target_pictures(self, targets: Tensor) -> Tensor:  # noqa: D102
        return targets


class SimCCReadout(Readout):
    """The logits of two distributions per keypoint, over the bins of x and of y, side by side.

    Their weighted sum over the branches is that of logits, so that the ensemble's distributions
    are the (normalised) weighted geometric means of the branches'.
    """

    losses = (SimCCHead.loss, RTMCCHead.loss, RTMWHead.loss)
    encoded = 'keypoint_x_labels'

    def __init__(self, head: nn.Module):
        super().__init__(head)
        # As the heads compute the widths of their last layers.
        self.bins = tuple(int(length * head.simcc_split_ratio) for length in head.input_size)
        # A loss of another class has no inverse temperature of its own.
        self.beta = getattr(head.loss_module, 'beta', 1.0)
        self.teaching = dict(type='KLHeatmapLoss', reduction='simcc', scale=self.beta)

    @property
    def form(self) -> str:  # noqa: D102
        return f'SimCC distributions over {self.bins} bins with beta={self.beta}'

    def stages(self, output: Any) -> tuple[Tensor, ...]:  # noqa: D102
        return (_side_by_side(*output),)

    def output(self, maps: Tensor) -> tuple[Tensor, ...]:  # noqa: D102
        return distributions(maps.squeeze(-2), self.bins)

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

    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:  # noqa: D102
        return (self._loss,) * num_stages

    def _loss(self, maps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return self.head.loss_module(self.output(maps), self.output(targets), weights)

    def flipped(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:  # noqa: D102
        return _side_by_side(*flip_vectors(*self.output(maps), flip_indices=flip_indices))

    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:  # noqa: D102
        # The heads differ in this: the later ones take the height of the peaks as it is.
        sigmas = self.head.decoder.sigma if isinstance(self.head, SimCCHead) else (None, None)
        outputs = zip(self.output(maps.detach()), sigmas, strict=True)
        x, y = (get_simcc_normalized(vectors, sigma) for vectors, sigma in outputs)
        for prediction, own_x, own_y in zip(predictions, to_numpy(x), to_numpy(y), strict=True):
            prediction.keypoint_x_labels = own_x[None]
            prediction.keypoint_y_labels = own_y[None]
        return [PixelData(heatmaps=heatmaps) for heatmaps in _outer(x, y)]

    def accuracy(self, maps: Tensor, targets: Tensor, labelled: np.ndarray) -> float:  # noqa: D102
        output, target = (to_numpy(self.output(both)) for both in (maps, targets))
        return simcc_pck_accuracy(output, target, self.head.simcc_split_ratio, labelled)[1]

    def difference(self, maps: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return _side_by_side(*self._shares(maps)) - _side_by_side(*self._target_shares(targets))

    def pictures(self, maps: Tensor) -> Tensor:  # noqa: D102
        return self._picture(self._shares(maps))

    def target_pictures(self, targets: Tensor) -> Tensor:  # noqa: D102
        # A label of zeros, of a keypoint that is not there, is no uniform distribution.
        labels = zip(self._target_shares(targets), self.output(targets), strict=True)
        return self._picture([share * label.any(-1, keepdim=True) for share, label in labels])

    def _picture(self, shares: Sequence[Tensor]) -> Tensor:
        """Product of the probabilities of cells of 4 pixels: peaks of a bin or two are not seen."""
        cells = (
            F.adaptive_avg_pool1d(share.flatten(0, -2), length // 4).unflatten(0, share.shape[:-1])
            * (share.shape[-1] / (length // 4))
            for share, length in zip(shares, self.head.input_size, strict=True)
        )
        return _outer(*cells)

    def _shares(self, maps: Tensor) -> list[Tensor]:
        """Probabilities of the bins of x and of y, (..., Lx) and (..., Ly)."""
        return [torch.softmax(logits.float() * self.beta, -1) for logits in self.output(maps)]

    def _target_shares(self, targets: Tensor) -> list[Tensor]:
        """The same of the labels, as the head's loss takes them."""
        loss, labels = self.head.loss_module, self.output(targets)
        if not getattr(loss, 'label_softmax', False):
            return list(labels)
        return [torch.softmax(label * loss.label_beta, -1) for label in labels]


def readout_of(head: nn.Module) -> Readout:
    """How a stock head's output is read.

    Raises:
        UserError: If it is no heatmaps and no SimCC distributions, each trained by one loss, or
            the head has no codec of that kind.
    """
    name = type(head).__name__
    if isinstance(head, VisPredictHead):
        raise UserError(
            f'The head {name} predicts visibility beside its {type(head.pose_head).__name__}, with '
            'a loss of its own that nothing would distil; make its pose_cfg the head.'
        )
    for kind in (HeatmapReadout, SimCCReadout):
        if getattr(type(head), 'loss', None) not in kind.losses:
            continue
        if head.decoder is None:
            raise UserError(
                f'The head {name} has no decoder; set model.head.decoder to the codec, as every '
                'stock config does.'
            )
        codec = head.decoder
        if kind.encoded not in (*codec.field_mapping_table, *codec.label_mapping_table):
            raise UserError(
                f'The codec {type(codec).__name__} encodes no {kind.encoded}, by which the head '
                f'{name} is trained; choose another decoder.'
            )
        return kind(head)
    raise UserError(
        f'The head {name} predicts no heatmaps or SimCC distributions that are trained by one loss '
        'each; choose a student with HeatmapHead, ViPNASHead, CPMHead, SimCCHead, RTMCCHead or '
        'RTMWHead.'
    )


def _side_by_side(x: Tensor, y: Tensor) -> Tensor:
    """(..., Lx) and (..., Ly) -> (..., 1, Lx + Ly)."""
    return torch.cat((x, y), dim=-1).unsqueeze(-2)


def _outer(x: Tensor, y: Tensor) -> Tensor:
    """(..., Lx) and (..., Ly) -> (..., Ly, Lx)."""
    return torch.matmul(y.unsqueeze(-1), x.unsqueeze(-2))
