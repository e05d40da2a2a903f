"""One empty image tells the sizes of any network, where declarations would be kept for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError, as_user_error
from ..structures import Sizes
from .taps import find_last_layer


def probe(
    backbone: nn.Module, head: nn.Module, averages: bool
) -> tuple[Sizes, list[nn.Module | None]]:
    """What the parts that exist only in training have to fit.

    Args:
        backbone: The branched backbone.
        head: The multi-branch head.
        averages: Whether the model keeps branches with averaged weights.

    Returns:
        The sizes, and the layer that makes each branch's final heatmaps, if a single one does.

    Raises:
        UserError: If the network cannot take images of its codec's size, or the branches' heatmaps
            differ in size from each other's or from those that the codec encodes.
    """
    finals, layers = [], []
    with size_as_user_error(head), empty_image(backbone, head) as image:
        shared = backbone(image, []).shared
        for m, parts in enumerate(zip(backbone.branches, head.necks, head.branches, strict=True)):
            final, layer = find_last_layer(
                (module for part in parts for module in part.modules()),
                lambda m=m: head.branch_forward(backbone(image, [m]), m)[-1],
            )
            finals.append(final)
            layers.append(layer)
    sizes = [tuple(final.shape[-2:]) for final in finals]
    if len(set(sizes)) > 1:
        raise UserError(
            f'The heatmaps of the branches have sizes {sizes} (H, W); they must be equal, for '
            'the ensemble is their weighted sum.'
        )
    keypoints = finals[0].shape[1]
    encoded = head.readout.encode(np.zeros((1, keypoints, 2)), np.ones((1, keypoints)))
    if sizes[0] != encoded.shape[-2:]:
        raise UserError(
            f'The network makes maps of {sizes[0]} (H, W) of {images_of(head)}, which encodes '
            f"{tuple(encoded.shape[-2:])}; make the input_size a multiple of the network's stride, "
            "or change the codec's other sizes."
        )
    sizes = Sizes(
        branches=len(finals),
        keypoints=keypoints,
        shared_channels=shared.shape[1],
        penultimate=tuple(layer and layer.in_shape for layer in layers),
        averages=averages,
        teaching=head.readout.teaching,
    )
    return sizes, [layer and layer.layer for layer in layers]


def size_as_user_error(head: nn.Module) -> AbstractContextManager:
    """Raise a :class:`UserError` for a network that cannot take images of its codec's size."""
    # Convolutions round odd sizes up, and what is added or flattened no longer fits.
    return as_user_error(f'The network cannot take {images_of(head)}', RuntimeError)


def images_of(head: nn.Module) -> str:
    """Words for what a head's codec makes of an image."""
    width, height = head.decoder.input_size
    return f'images of {width}x{height}, the input_size of its codec'


def check_ensemble(backbone: nn.Module, head: nn.Module) -> None:
    """Compare the heatmaps that the aggregator makes with the branches'.

    Raises:
        UserError: If their shapes differ.
    """
    with empty_image(backbone, head) as image:
        outputs = head.outputs(backbone(image))
    ours, theirs = outputs.ensemble.shape[1:], outputs.heatmaps[0][-1].shape[1:]
    if ours != theirs:
        raise UserError(
            f'{type(head.aggregator).__name__} makes heatmaps of shape {tuple(ours)} (K, H, W), '
            f'the branches {tuple(theirs)}; keypoints and codec must agree.'
        )


def check_branches(backbone: nn.Module, head: nn.Module) -> None:
    """Check that every branch has something to learn.

    Raises:
        UserError: If the branches share all parameters there are.
    """
    for parts in zip(backbone.branches, head.necks, head.branches, strict=True):
        if not any(True for part in parts for _ in part.parameters()):
            raise UserError(
                f'This split leaves a branch nothing of its own: its {type(parts[-1]).__name__} '
                'has no parameters; split the backbone itself or, where it has no split points, '
                'choose another network.'
            )


@contextmanager
def empty_image(*parts: nn.Module) -> Iterator[Tensor]:
    """An image of the codec's size for parts that must not change by looking at it."""
    width, height = parts[-1].decoder.input_size
    for part in parts:
        part.eval()
    with torch.no_grad():
        yield torch.zeros(1, 3, height, width)
    for part in parts:
        part.train()
