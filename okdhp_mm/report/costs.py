"""Cost of the student compared with that of the network it is trained in."""

from __future__ import annotations

from functools import partial

from mmpose.models import TopdownPoseEstimator
from torch import Tensor, nn

from ..models import OKDHPTopdownPoseEstimator
from ..models.state_names import student_tensors
from ..structures import ENSEMBLE
from ..student.complexity import Complexity, complexity


def training_costs(model: nn.Module) -> dict[str, Complexity] | None:
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
        return {'Network': complexity(model)}
    trained = complexity(model, lambda images: all_outputs(model, images), trained_tensors)
    branch = model.test_cfg.get('branch', 0)
    if branch == ENSEMBLE:
        return {'Ensemble': trained}
    return {
        'Student': complexity(model, select=partial(student_tensors, branch=branch)),
        'Training network': trained,
    }


def all_outputs(model: OKDHPTopdownPoseEstimator, images: Tensor) -> list[Tensor]:
    """Return the heatmaps of all branches and the ensemble."""
    outputs = model.head.outputs(model.backbone(images))
    return [maps for maps in (outputs.final_heatmaps, outputs.ensemble) if maps is not None]


def trained_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors of the backbone and the head by name, without teacher and EMA copy."""
    parts = ('backbone.', 'head.')
    return {name: tensor for name, tensor in tensors.items() if name.startswith(parts)}
