"""Measure the generalization gap: a student's loss on persons that it was not trained on."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import DATASETS, MODELS

from ..data.pseudo_labels.added_persons import without_added_persons
from ..errors import UserError
from ..io.checkpoint import load_checkpoint, load_weights
from ..io.config import require_key
from ..models.branch_configs import ESTIMATOR
from .config import student_config
from .state import build_trained, check_finite, student_state

ONLY_IN_TESTS = ('bbox_file', 'headbox_file')


@dataclass(frozen=True)
class GeneralizationGap:
    """The student's own loss, with the training's augmentation on both sides.

    Attributes:
        train: On persons that it was trained on.
        val: On those of the validation data.
    """

    train: float
    val: float

    @property
    def ratio(self) -> float:
        """Return the ratio of the loss on other persons to that on persons trained on."""
        return self.val / self.train


def generalization_gap(cfg: Config, checkpoint: str, persons: int = 500) -> GeneralizationGap:
    """Measure a trained network, alone or branch 0 of many, on the CPU or the GPU.

    Args:
        cfg: Its training config: a stock one, or one with branches.
        checkpoint: Path of its checkpoint.
        persons: Largest number of persons of each kind.

    Raises:
        UserError: If the checkpoint is of another network, the config names no training pipeline
            or no data, or ``persons`` is below 1.
    """
    if persons < 1:
        raise UserError(f'--persons {persons} measures nothing; it must be at least 1.')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    keys = ('train_dataloader.dataset', 'val_dataloader.dataset')
    train, val = (unwrapped(require_key(cfg, key, 'The generalization gap')) for key in keys)
    pipeline = require_key(train, 'pipeline', 'train_dataloader.dataset')
    others = ConfigDict(copy.deepcopy(val), pipeline=pipeline, test_mode=False)
    for key in ONLY_IN_TESTS:
        others.pop(key, None)
    student = load_branch(cfg, checkpoint)
    return GeneralizationGap(
        mean_loss(student, train, persons), mean_loss(student, others, persons)
    )


def unwrapped(dataset: ConfigDict) -> ConfigDict:
    """Return the (first) dataset with a pipeline inside wrappers such as RepeatDataset.

    Persons with pseudo-labels are left out.
    """
    dataset = without_added_persons(dataset)
    if dataset.get('pipeline'):
        return dataset
    if dataset.get('dataset'):
        return unwrapped(dataset.dataset)
    if not dataset.get('datasets'):
        return dataset
    first = unwrapped(dataset.datasets[0])
    name = first.get('ann_file') or first.type
    print(f'{name} is measured, the first of {len(dataset.datasets)} data sets.')
    return first


def load_branch(cfg: Config, checkpoint: str) -> BasePoseEstimator:
    """Load the stock network of the config, or the student of branch 0, from a checkpoint.

    Raises:
        UserError: If the weights are of another network, or not finite.
    """
    model, state = cfg.model, load_checkpoint(checkpoint)['state_dict']
    if model.type == ESTIMATOR:
        # The EMA copy has the weights if it is deployed.
        state = student_state(build_trained(cfg, state, checkpoint).state_dict(), 0)
        model = student_config(cfg, 0).model
    student = MODELS.build(copy.deepcopy(model))
    load_weights(student, state, f'{checkpoint} is not of the network of the config')
    check_finite(student.state_dict(), checkpoint)
    return student.to('cuda' if torch.cuda.is_available() else 'cpu').eval()


@torch.no_grad()
def mean_loss(student: BasePoseEstimator, dataset: ConfigDict, persons: int) -> float:
    """Return the student's mean loss on persons that are chosen and augmented by one seed."""
    set_random_seed(0)
    data = DATASETS.build(copy.deepcopy(dataset))
    chosen = np.random.permutation(len(data))[:persons]
    # One at a time, because some losses average a batch and others (KLDiscretLoss) sum over it.
    return sum(own_loss(student, data[index]) for index in chosen) / len(chosen)


def own_loss(student: BasePoseEstimator, person: dict) -> float:
    """Return the student's own loss of one packed sample."""
    batch = student.data_preprocessor(pseudo_collate([person]), training=False)
    loss, _ = student.parse_losses(student.loss(batch['inputs'], batch['data_samples']))
    return loss.item()
