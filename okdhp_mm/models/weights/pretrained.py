"""Pretrained weights of torchvision, timm or mmpose, renamed to fit a backbone of mmpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ...errors import UserError, join_names

COUNTER = 'num_batches_tracked'
"""Buffer of a batch norm that does not change what the network computes."""
PREFIXES = ('module.', 'backbone.')
LEAST = 0.5
"""Smallest share of the backbone's tensors that must be found by name."""


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights with the names of a backbone of mmpose.

    Attributes:
        state_dict: The weights that fit.
        total: Number of tensors of the backbone.
        rule: Rule that matched them: 'name' or 'order'.
        unused: Names of the file's tensors that the backbone does not have.
        missing: Names of the backbone's tensors that the file does not have.
    """

    state_dict: dict[str, Tensor]
    total: int
    rule: str
    unused: list[str]
    missing: list[str]

    def __str__(self) -> str:
        text = f'{len(self.state_dict)} of {self.total} tensors found by {self.rule} and shape'
        if self.missing:
            text += f'; kept as initialized: {join_names(self.missing)}'
        if self.unused:
            text += f'; not used: {join_names(self.unused)}'
        return text


def match_weights(backbone: nn.Module, state_dict: Mapping[str, Tensor]) -> PretrainedWeights:
    """Rename the weights of a file so that they fit a backbone of mmpose.

    Names are tried first. If they differ, as between torchvision's and mmpose's MobileNetV2, the
    tensors are paired in their order: both libraries register the layers in the order in which
    they are computed. Every pair must then have the same kind (the last part of the name) and
    shape.

    Args:
        backbone: A backbone of mmpose.
        state_dict: Weights of the same network in the naming of torchvision, timm or mmpose.

    Raises:
        UserError: If the weights are of another network.
    """
    own = dict(tensors_of(backbone.state_dict()))
    given = dict(tensors_of(without_prefixes(state_dict)))
    by_name = {
        name: given[name]
        for name, tensor in own.items()
        if name in given and given[name].shape == tensor.shape
    }
    sources = {name: name for name in by_name}
    rule = 'name'
    if len(by_name) < len(own) and mismatch(own, given) is None:
        sources, rule = dict(zip(own, given, strict=False)), 'order'
    elif len(by_name) < LEAST * len(own):
        raise UserError(
            f'The pretrained weights do not fit {type(backbone).__name__}: {mismatch(own, given)}. '
            'Give a file of the same backbone and width.'
        )
    return PretrainedWeights(
        {name: given[source] for name, source in sources.items()},
        len(own),
        rule,
        [name for name in given if name not in sources.values()],
        [name for name in own if name not in sources],
    )


def mismatch(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """Return the first difference between two lists of tensors, paired in their order.

    Further tensors of the file, such as those of its classifier, are not a difference.
    """
    for (name, tensor), (other, found) in zip(own.items(), given.items(), strict=False):
        same_kind = name.rpartition('.')[2] == other.rpartition('.')[2]
        if not same_kind or tensor.shape != found.shape:
            shapes = f'{tuple(found.shape)} instead of {tuple(tensor.shape)}'
            return f'the tensor {other!r} has shape {shapes} of {name!r}'
    if len(given) < len(own):
        return f'the file has {len(given)} tensors and the backbone {len(own)}'
    return None


def tensors_of(state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that decide what a network computes, in their order."""
    for name, tensor in state_dict.items():
        if not name.endswith(COUNTER):
            yield name, tensor


def without_prefixes(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's weights of a complete model, without their prefixes."""
    for prefix in PREFIXES:
        inside = {name: tensor for name, tensor in state_dict.items() if name.startswith(prefix)}
        if inside:
            state_dict = {name.removeprefix(prefix): tensor for name, tensor in inside.items()}
    return dict(state_dict)
