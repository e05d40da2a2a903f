"""Infer the shapes of a network from one dummy forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from mmpose.models.heads import BaseHead
from torch import Tensor, nn

from ...errors import UserError, as_user_error
from ...structures import NetworkSpec
from .adapters import HeadAdapter


def empty_image(head: BaseHead) -> Tensor:
    """Return a batch with one empty image of the size of a head's codec, (1, 3, H, W)."""
    width, height = head.decoder.input_size
    return torch.zeros(1, 3, height, width)


def infer_shapes(
    shared: Tensor,
    results: Sequence[tuple[tuple[Tensor, ...], Tensor | None]],
    adapter: HeadAdapter,
) -> NetworkSpec:
    """Return the shapes of a network from its outputs for an empty image.

    Args:
        shared: The trunk's feature, see :class:`~okdhp_mm.structures.BranchFeatures`.
        results: The heatmaps and the head features of every branch.
        adapter: Adapter of the branches' heads.

    Raises:
        UserError: If the heatmaps of the branches differ in size from each other or from those
            that the codec encodes.
    """
    final_heatmaps = [maps[-1] for maps, _ in results]
    sizes = [tuple(final.shape[-2:]) for final in final_heatmaps]
    if len(set(sizes)) > 1:
        raise UserError(
            f'The heatmaps of the branches have sizes {sizes} (H, W). They must be equal, because '
            'the ensemble is their weighted sum.'
        )
    keypoints = final_heatmaps[0].shape[1]
    if sizes[0] != (encoded := adapter.map_size()):
        raise UserError(
            f'The network makes maps of {sizes[0]} (H, W) of {images_of(adapter.head)}. The codec '
            f'encodes {encoded}. Make the input_size a multiple of the '
            "network's stride, or change the codec's other sizes."
        )
    return NetworkSpec(
        branches=len(final_heatmaps),
        keypoints=keypoints,
        shared_channels=shared.shape[1],
        head_features=tuple(None if x is None else tuple(x.shape[1:]) for _, x in results),
        kl_defaults=adapter.kl_defaults,
    )


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
