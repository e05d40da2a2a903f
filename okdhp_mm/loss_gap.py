"""Whether a student has room to learn from its peers: its loss on persons it was not trained on."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpose.registry import DATASETS, MODELS
from torch import nn

from .checkpoint import load_checkpoint
from .config_file import section
from .errors import UserError, told
from .export import ESTIMATOR, build_trained, student_config, student_state

BATCH = 32
ONLY_IN_TESTS = ('bbox_file', 'headbox_file')


@dataclass(frozen=True)
class LossGap:
    """The student's own loss, with the training's augmentation on both sides.

    Attributes:
        train: On persons that it was trained on.
        val: On those of the validation data.
    """

    train: float
    val: float

    @property
    def ratio(self) -> float:
        """How many times as large it is on persons that it was not trained on."""
        return self.val / self.train


def loss_gap(cfg: Config, checkpoint: str, persons: int = 500) -> LossGap:
    """Measure a trained network, alone or branch 0 of many, on the CPU or the GPU.

    Args:
        cfg: Its training config: a stock one, or one with branches.
        checkpoint: Path of its checkpoint.
        persons: How many of each kind, at most.

    Raises:
        UserError: If the checkpoint is of another network, the config names no training pipeline
            or no data, or there are to be no persons.
    """
    if persons < 1:
        raise UserError(f'--persons {persons} measures nothing; it must be at least 1.')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    keys = ('train_dataloader.dataset', 'val_dataloader.dataset')
    train, val = (section(cfg, key, 'The loss gap') for key in keys)
    if 'pipeline' not in train or 'pipeline' not in val:
        raise UserError(
            f'train_dataloader.dataset.type={train.get("type")!r} combines others; name one of '
            'them by --cfg-options to compare its persons with those of val_dataloader.'
        )
    others = ConfigDict(copy.deepcopy(val), pipeline=train.pipeline, test_mode=False)
    for key in ONLY_IN_TESTS:
        others.pop(key, None)
    student = load_student(cfg, checkpoint)
    return LossGap(mean_loss(student, train, persons), mean_loss(student, others, persons))


def load_student(cfg: Config, checkpoint: str) -> nn.Module:
    """The stock network of the config, or the student of branch 0, with a checkpoint's weights.

    Raises:
        UserError: If they are of another network.
    """
    model, state = cfg.model, load_checkpoint(checkpoint)['state_dict']
    if model.type == ESTIMATOR:
        # Of the averaged copy, where that is what is deployed.
        state = student_state(build_trained(cfg, state, checkpoint).state_dict(), 0)
        model = student_config(cfg, 0).model
    student = MODELS.build(copy.deepcopy(model))
    # torch refuses tensors of another shape by itself.
    with told(f'{checkpoint} is not of the network of the config', (RuntimeError,)):
        found = student.load_state_dict(state, strict=False)
    if found.missing_keys:
        raise UserError(
            f'{checkpoint} has no {found.missing_keys[0]} and {len(found.missing_keys) - 1} others '
            "of the config's network; name the config that it was trained with."
        )
    return student.to('cuda' if torch.cuda.is_available() else 'cpu').eval()


@torch.no_grad()
def mean_loss(student: nn.Module, dataset: ConfigDict, persons: int) -> float:
    """The student's own loss over some persons, always the same ones, equally augmented."""
    set_random_seed(0)
    data = DATASETS.build(copy.deepcopy(dataset))
    chosen = np.random.permutation(len(data))[:persons]
    total = 0.0
    for indices in np.array_split(chosen, -(-len(chosen) // BATCH)):
        batch = pseudo_collate([data[index] for index in indices])
        batch = student.data_preprocessor(batch, training=False)
        loss, _ = student.parse_losses(student.loss(batch['inputs'], batch['data_samples']))
        total += loss.item() * len(indices)
    return total / len(chosen)
