"""Infer the shapes of a network with one dummy forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmpose.models.heads import BaseHead
from torch import nn

from ..errors import UserError, as_user_error
from ..structures import BranchOutputs, NetworkSpec

if TYPE_CHECKING:
    from .backbones.branched import BranchedBackbone
    from .heads.multi_branch_head import MultiBranchHead


def infer_shapes(
    backbone: BranchedBackbone, head: MultiBranchHead
) -> tuple[BranchOutputs, NetworkSpec]:
    """Run the backbone and the branches of the head once on an empty image.

    Args:
        backbone: The branched backbone.
        head: The multi-branch head; its aggregator and distiller may be missing.

    Returns:
        The outputs of the branches, to check the aggregator with, and the shapes.

    Raises:
        UserError: If the network cannot process images of its codec's size, or the heatmaps of the
            branches differ in size from each other or from those that the codec encodes.
    """
    width, height = head.decoder.input_size
    with size_as_user_error(head), eval_mode(backbone, head):
        features = backbone(torch.zeros(1, 3, height, width))
        results = [head.branch_forward(features, m) for m in range(len(head.branches))]
    final_heatmaps = [maps[-1] for maps, _ in results]
    sizes = [tuple(final.shape[-2:]) for final in final_heatmaps]
    if len(set(sizes)) > 1:
        raise UserError(
            f'The heatmaps of the branches have sizes {sizes} (H, W). They must be equal, because '
            'the ensemble is their weighted sum.'
        )
    keypoints = final_heatmaps[0].shape[1]
    encoded = head.adapter.encode(np.zeros((1, keypoints, 2)), np.ones((1, keypoints)))
    if sizes[0] != encoded.shape[-2:]:
        raise UserError(
            f'The network makes maps of {sizes[0]} (H, W) of {images_of(head)}. The codec encodes '
            f"{tuple(encoded.shape[-2:])}. Make the input_size a multiple of the network's stride, "
            "or change the codec's other sizes."
        )
    spec = NetworkSpec(
        branches=len(final_heatmaps),
        keypoints=keypoints,
        shared_channels=features.shared.shape[1],
        head_features=tuple(None if x is None else tuple(x.shape[1:]) for _, x in results),
        kl_defaults=head.adapter.kl_defaults,
    )
    return head.collect(features, results), spec


def size_as_user_error(head: BaseHead) -> AbstractContextManager:
    """Raise a :class:`UserError` if the network cannot process images of its codec's size."""
    # Convolutions round odd sizes up. Then feature maps that are added or flattened do not fit.
    return as_user_error(f'The network cannot take {images_of(head)}', RuntimeError)


def images_of(head: BaseHead) -> str:
    """Describe the input images of a head's codec."""
    width, height = head.decoder.input_size
    return f'images of {width}x{height}, the input_size of its codec'


@contextmanager
def eval_mode(*parts: nn.Module) -> Iterator[None]:
    """Run parts without gradients and without updating their statistics."""
    for part in parts:
        part.eval()
    with torch.no_grad():
        yield
    for part in parts:
        part.train()
