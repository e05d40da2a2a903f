"""Cost of the student compared with that of the network it is trained in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmengine.analysis import FlopAnalyzer
from mmpose.models import TopdownPoseEstimator
from torch import Tensor, nn

from ..models import OKDHPTopdownPoseEstimator
from ..models.state_names import student_name
from ..structures import ENSEMBLE


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    Attributes:
        parameters: Number of parameters.
        macs: Multiply-adds of one image in the forward pass.
        size: Bytes of the weights.
    """

    parameters: int
    macs: int
    size: int


def training_costs(model: nn.Module) -> dict[str, Cost] | None:
    """Return the costs of what is deployed and, with branches, of what is trained.

    The trained network is counted without its teacher and EMA copy.

    Args:
        model: A model without the wrapper of a distributed run; it is put in eval mode.

    Returns:
        The costs by the name of the network; None if the model is not a top-down model with a
        decoder, whose input size is unknown.
    """
    if not isinstance(model, TopdownPoseEstimator) or model.head.decoder is None:
        return None
    if not isinstance(model, OKDHPTopdownPoseEstimator):
        return {'Network': cost(model, model.state_dict(), model._forward)}
    state = {
        name: value
        for name, value in model.state_dict().items()
        if name.startswith(('backbone.', 'head.'))
    }
    branch = model.test_cfg.get('branch', 0)
    trained = cost(model, state, lambda images: all_outputs(model, images))
    if branch == ENSEMBLE:
        return {'Ensemble': trained}
    owners = {name: student_name(name) for name in state}
    own = {n: state[n] for n, owner in owners.items() if owner and owner[0] in (None, branch)}
    return {
        'Student': cost(model, own, model._forward),
        'Training network': trained,
    }


def all_outputs(model: OKDHPTopdownPoseEstimator, images: Tensor) -> list[Tensor]:
    """Return the heatmaps of all branches and the ensemble."""
    outputs = model.head.outputs(model.backbone(images))
    return [maps for maps in (outputs.final_heatmaps, outputs.ensemble) if maps is not None]


def cost(model: TopdownPoseEstimator, state: dict[str, Tensor], forward: Callable) -> Cost:
    """Return the cost of a part of a model.

    Args:
        model: The model that the part belongs to.
        state: Weights and buffers of the part.
        forward: Runs the part on images.
    """
    parameters = {name for name, _ in model.named_parameters()}
    width, height = model.head.decoder.input_size
    image = next(model.parameters()).new_zeros(1, 3, height, width)
    with torch.no_grad():
        analyzer = FlopAnalyzer(_Part(model, forward).eval(), image)
        # It does not count additions and batch norms, and would warn about them.
        quiet = analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        macs = int(quiet.tracer_warnings('none').total())
    return Cost(
        parameters=sum(state[name].numel() for name in parameters & state.keys()),
        macs=macs,
        size=sum(value.numel() * value.element_size() for value in state.values()),
    )


class _Part(nn.Module):
    """Part of a model as a module, because the analyzer traces modules."""

    def __init__(self, model: nn.Module, run: Callable):
        super().__init__()
        self.model = model
        self.run = run

    def forward(self, images: Tensor):
        return self.run(images)
