"""Base class of head adapters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import BaseHead
from mmpose.structures import PoseDataSample
from torch import Tensor

from ....errors import UserError
from ....structures import Criterion

Features = Any
"""Output of a backbone or neck, usually a tuple of feature maps."""


class HeadAdapter(ABC):
    """Converter between the outputs of one stock head and maps of shape (B, K, H, W).

    Everything between a head and its decoder (aggregators, distillation terms, reports) works on
    maps, so a new kind of head needs one adapter and no other change.

    Args:
        head: The stock head.

    Attributes:
        losses: The ``loss`` methods of the heads that this adapter handles. Subclasses of such a
            head match too if they inherit ``loss``.
        encoded: Name of the field that the head's codec must encode.
        map_names: Names of the :meth:`tensors` that the head returns, used in exported graphs.
        map_doc: Description of these tensors, written into exported graphs; ``{codec}`` and
            ``{keypoints}`` are filled in.
        bins: See :class:`~okdhp_mm.structures.BranchOutputs`.
        kl_defaults: Arguments that a ``KLHeatmapLoss`` of this head gets unless its config sets
            them, so that its gradient is as large as that of the head's own loss.
        rotates: Whether :meth:`warp` can rotate maps.
        passed_stages: For every stage, whether the head returns the input features unchanged.
    """

    losses: tuple = ()
    encoded: str
    map_names: tuple[str, ...] = ('output',)
    map_doc: str = '{codec} heatmaps (batch, {keypoints}, height, width)'
    bins: tuple[int, ...] = ()
    rotates: bool = True
    passed_stages: tuple[bool, ...] = (False,)

    def __init__(self, head: BaseHead):
        self.head = head

    @classmethod
    def matches(cls, head: BaseHead) -> bool:
        """Return whether this adapter handles a head."""
        return getattr(type(head), 'loss', None) in cls.losses

    @property
    @abstractmethod
    def signature(self) -> str:
        """Describe what the head predicts. Branches with equal signatures can be combined."""

    @property
    def kl_defaults(self) -> dict[str, Any]:  # noqa: D102  (documented in the class)
        return {}

    def forward(self, feats: Features) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Run the head.

        Returns:
            The maps of every stage, S x (B, K, H, W), and the feature map (B, C, H, W) that the
            last layer turns into the final maps; None if the head does not expose it.
        """
        return self.to_maps(self.head(feats)), None

    @abstractmethod
    def to_maps(self, output: Any) -> tuple[Tensor, ...]:
        """Convert an output of the head to the maps of every stage, S x (B, K, H, W)."""

    @abstractmethod
    def to_output(self, maps: Tensor) -> Any:
        """Convert the maps of one stage to an output of the head."""

    def tensors(self, output: Any) -> tuple[Tensor, ...]:
        """Return the tensors of the last stage of an output of the head."""
        return self.to_maps(output)[-1:]

    @abstractmethod
    def encode(self, keypoints: np.ndarray, visible: np.ndarray) -> Tensor:
        """Encode keypoints in the input image as target maps, (1, K, H, W)."""

    def map_size(self) -> tuple[int, int]:
        """Return the (H, W) of the maps that the codec encodes."""
        count = self.head.out_channels
        height, width = self.encode(np.zeros((1, count, 2)), np.ones((1, count))).shape[-2:]
        return height, width

    @abstractmethod
    def targets(self, samples: list[PoseDataSample]) -> Tensor:
        """Collect the target maps that the data pipeline encoded, (B, K, H, W)."""

    def targets_to_maps(self, targets: Tensor) -> Tensor:
        """Convert target maps to the maps of a head that predicts them exactly."""
        return targets

    @abstractmethod
    def criteria(self, num_stages: int) -> tuple[Criterion, ...]:
        """Return the stock head's loss of every stage."""

    @abstractmethod
    def flip(self, maps: Tensor, flip_indices: list[int], test_cfg: dict) -> Tensor:
        """Mirror the maps of a mirrored image back."""

    @abstractmethod
    def fields(self, maps: Tensor, predictions: list[InstanceData]) -> list[PixelData]:
        """Return the fields that the stock head adds to predictions with ``output_heatmaps``."""

    @abstractmethod
    def accuracy(self, maps: Tensor, targets: Tensor, labeled: np.ndarray) -> float:
        """Return the share of keypoints within 5 % of the image size, as the stock head logs it."""

    def difference(self, maps: Tensor, targets: Tensor) -> Tensor:
        """Return the errors of the maps, see :class:`~okdhp_mm.structures.Targets`."""
        return maps - targets

    def peaks(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Find the peak of every map.

        Args:
            maps: (..., K, H, W).

        Returns:
            Places in pixels of the input image, (..., K, 2), and heights, (..., K), about 1 for a
            map like a label and 0 for an empty one.

        Raises:
            UserError: If the adapter does not have this method. Only unlabeled images need it.
        """
        raise self._lacks('peaks')

    def warp(self, maps: Tensor, linear: Tensor, offset: Tensor) -> Tensor:
        """Move maps like their images, (B, K, H, W).

        Args:
            maps: Maps of the images.
            linear: Matrices, (B, 2, 2).
            offset: Vectors, (B, 2). The moved image has at x the pixel ``linear @ x + offset`` of
                the image.

        Raises:
            UserError: If the adapter does not have this method. Only unlabeled images need it.
        """
        raise self._lacks('warp')

    def _lacks(self, method: str) -> UserError:
        return UserError(
            f'{type(self).__name__} has no method `{method}`, which learning from unlabeled images '
            'requires. Write it, or remove model.unlabeled.'
        )

    def to_display(self, maps: Tensor) -> Tensor:
        """Convert maps to heatmaps that can be drawn, (..., H, W)."""
        return maps

    def targets_to_display(self, targets: Tensor) -> Tensor:
        """Convert target maps to heatmaps that can be drawn, (..., H, W)."""
        return self.to_display(targets)
