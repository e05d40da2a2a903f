"""Vision transformers: cut after the patch embedding or any layer."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, cat

from ....registry import SPLITS
from .base import SplitFamily, Step

FORWARD = ('mmpretrain.models.backbones.vision_transformer', 'VisionTransformer.forward')
"""Module and name of the stock forward. mmpretrain is optional, so it is not imported."""


class State(NamedTuple):
    """Tokens between two layers.

    Attributes:
        tokens: (B, N, C), the extra tokens first.
        size: Height and width of the map of patches.
        extra: Number of tokens that are not patches.
        outs: Outputs so far.
    """

    tokens: Tensor
    size: tuple[int, int]
    extra: int
    outs: tuple[Tensor, ...] = ()


@SPLITS.register_module()
class VisionTransformerSplit(SplitFamily):
    """mmpretrain's VisionTransformer, the backbone of ViTPose, https://arxiv.org/abs/2204.12484."""

    name = 'VisionTransformer'
    backbones = ()

    @classmethod
    def matches(cls, backbone: BaseModule) -> bool:  # noqa: D102
        forward = type(backbone).forward
        if (forward.__module__, forward.__qualname__) != FORWARD:
            return False
        # Each averaged output goes through `ln2`, which only one step can own.
        return backbone.out_type != 'avg_featmap' or len(backbone.out_indices) == 1

    def steps(self, backbone: BaseModule) -> tuple[Step, ...]:  # noqa: D102
        stem, *names = step_names(backbone.num_layers)
        own = ('patch_embed', 'pos_embed', 'drop_after_pos', 'pre_norm')
        token = ('cls_token',) if backbone.cls_token is not None else ()
        last = tuple(name for name in ('ln1', 'ln2') if hasattr(backbone, name))
        layers = [
            Step(name, (f'layers.{i}',), partial(_run_layer, index=i), freezable=i + 1)
            for i, name in enumerate(names)
        ]
        end = layers.pop()
        end = Step(end.name, (*end.children, *last), end.run, end.freezable)
        return (Step(stem, (*own, *token), _embed, freezable=0), *layers, end)

    def shared(self, state: State) -> Tensor:  # noqa: D102
        patches = state.tokens[:, state.extra :]
        return patches.transpose(1, 2).unflatten(2, state.size)


def step_names(num_layers: int) -> list[str]:
    """Return the names of the steps of a network with this number of layers."""
    return ['stem', *(f'layer{i + 1}' for i in range(num_layers))]


def _embed(part: BaseModule, images: Tensor) -> State:
    x, size = part.patch_embed(images)
    if part.cls_token is not None:
        x = cat((part.cls_token.expand(len(x), -1, -1), x), dim=1)
    extra = part.num_extra_tokens
    x = x + part.resize_pos_embed(
        part.pos_embed,
        part.patch_resolution,
        size,
        mode=part.interpolate_mode,
        num_extra_tokens=extra,
    )
    return State(part.pre_norm(part.drop_after_pos(x)), size, extra)


def _run_layer(part: BaseModule, state: State, index: int) -> State:
    x = part.layers.get_submodule(str(index))(state.tokens)
    if index == part.num_layers - 1 and part.final_norm:
        x = part.ln1(x)
    returned = (part._format_output(x, state.size),) if index in part.out_indices else ()
    return state._replace(tokens=x, outs=(*state.outs, *returned))
