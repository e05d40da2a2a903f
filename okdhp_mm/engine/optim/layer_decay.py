"""Layer-wise learning rates, as ViTPose is trained with, for multi-branch models."""

from __future__ import annotations

from collections.abc import Iterator

from mmpose.engine.optim_wrappers.layer_decay_optim_wrapper import (
    LayerDecayOptimWrapperConstructor,
)
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ...models.state_names import student_name

STOCK = LayerDecayOptimWrapperConstructor.__name__


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class BranchLayerDecayOptimWrapperConstructor(LayerDecayOptimWrapperConstructor):
    """mmpose's constructor, with the names that the layers have in the stock network.

    Training-only modules, such as the aggregator, have the learning rate of the head.
    """

    def add_params(self, params: list[dict], module: nn.Module, **kwargs) -> None:
        """Add every parameter with the learning rate of its layer."""
        super().add_params(params, _StudentNames(module), **kwargs)


BRANCHED = BranchLayerDecayOptimWrapperConstructor.__name__


class _StudentNames:
    """Parameters of a multi-branch model by their names in the student."""

    def __init__(self, model: nn.Module):
        self._model = model

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, parameter in self._model.named_parameters():
            _, own = student_name(name) or (None, name)
            yield own, parameter
