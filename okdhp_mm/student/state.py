"""Weights of an exported student: those of trunk and branch, compared with the trained model."""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from mmengine.config import Config
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from torch import Tensor

from ..errors import UserError
from ..io.checkpoint import load_weights
from ..io.config import drop_pretrained
from ..models.branch_configs import STOCK_ESTIMATOR
from ..models.heads.adapters import find_adapter
from ..models.state_names import student_tensors
from ..models.weights.load_stock import check_branched
from ..structures import branch_name


def build_trained(cfg: Config, state_dict: dict[str, Tensor], source: str) -> BasePoseEstimator:
    """Return the deployed model, or its EMA copy, with a checkpoint's weights.

    Raises:
        UserError: If the checkpoint is of another model.
    """
    model = copy.deepcopy(cfg.model)
    drop_pretrained(model)
    if model.type == STOCK_ESTIMATOR:
        stock = MODELS.build(model)
        load_weights(stock, state_dict, f'{source} is not of the network of the config')
        return stock
    check_branched(state_dict, source)
    trained = MODELS.build(model)
    trained.load_state_dict(state_dict, strict=True)
    return trained.deployed


def student_state(state_dict: dict[str, Tensor], branch: int | None) -> OrderedDict[str, Tensor]:
    """Return the weights of trunk and branch, or of a student alone, under the student's names."""
    tensors = state_dict if branch is None else student_tensors(state_dict, branch)
    return OrderedDict((name, value.detach().cpu().clone()) for name, value in tensors.items())


def check_finite(state: dict[str, Tensor], source: str) -> None:
    """Check that all weights are finite.

    Raises:
        UserError: If a weight is NaN or infinite.
    """
    wrong = [name for name, value in state.items() if not value.isfinite().all()]
    if wrong:
        raise UserError(
            f'The checkpoint {source} holds NaN or infinity in {len(wrong)} tensors of the '
            f'student, e.g. {wrong[0]}: the training diverged; take an earlier checkpoint.'
        )


@torch.no_grad()
def check_equal(trained: BasePoseEstimator, student: BasePoseEstimator, branch: int) -> None:
    """Assert that the student's output equals its branch's bit for bit, on noise."""
    trained.eval(), student.eval()
    width, height = student.head.decoder.input_size
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 4 - 2
    maps, _ = trained.head.branch_forward(trained.backbone(images, [branch]), branch)
    output = student(images, None, mode='tensor')
    if not torch.equal(find_adapter(student.head).to_maps(output)[-1], maps[-1]):
        raise AssertionError(f'The student differs from {branch_name(branch)}.')
