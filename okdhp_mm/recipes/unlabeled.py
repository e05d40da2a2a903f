"""Let a training learn from unlabeled images as well."""

from __future__ import annotations

import copy
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ..data.unlabeled import (
    is_mixed,
    is_mixed_sampler,
    mix_unlabeled,
    pictures_in,
    warn_of_overlap,
)
from ..errors import UserError
from ..io.config import read_config
from ..models.branch_configs import ESTIMATOR
from .methods import method_file

METHOD = 'okdhp_unlabeled'


def learn_from(cfg: Config, file: Path, folder: Path, ratio: float = 1.0) -> None:
    """Let a training learn from unlabeled persons too, in place.

    A config whose method does not use such images gets what the method ``okdhp_unlabeled`` adds;
    its own settings stay.

    Args:
        cfg: Training config.
        file: The persons, in COCO's layout.
        folder: Folder of their pictures.
        ratio: Unlabeled persons for each labeled one in a batch.

    Raises:
        UserError: If the config trains a model without branches, or has no training data.
    """
    check_branches(cfg)
    model = cfg.model
    if not model.get('unlabeled') or not has_term(model):
        method = copy.deepcopy(read_config(method_file(METHOD)).method.to_dict())
        added = Config(dict(model=method))
        added.merge_from_dict(dict(model=model))
        cfg.model = added.model
        if name := cfg.get('method_name'):
            cfg.method_name = f'{name} with unlabeled images'
    mix_unlabeled(cfg, file, folder, ratio)
    pipeline = cfg.train_dataloader.dataset.datasets[1].pipeline
    if not any(step.get('type') == 'RandomFlip' for step in pipeline):
        # The labeled images are not mirrored, so the unlabeled ones should not be either.
        cfg.model.unlabeled.views = dict(flip=0.0) | dict(cfg.model.unlabeled.get('views') or {})


def check_branches(cfg: Config) -> None:
    """Check that a config can learn from pictures without labels.

    Raises:
        UserError: If its model has no branches.
    """
    model = cfg.get('model') or {}
    if model.get('type') != ESTIMATOR:
        raise UserError(
            f'--unlabeled requires a multi-branch model, but model.type={model.get("type")!r}. '
            'Let a model label the pictures by --teacher MODEL, leave out --unlabeled if --teacher '
            'is a file of labels, or train with branches: `python -m okdhp_mm convert` makes a '
            'config that has some.'
        )


def has_term(model: dict) -> bool:
    """Return whether the config of a model has a term for unlabeled images."""
    terms = (model.get('distiller') or {}).get('terms') or {}
    return any(term and term.get('type') == 'UnlabeledTerm' for term in terms.values())


def check_images(cfg: Config) -> None:
    """Check that a training that learns from unlabeled images has some, and warn of wrong ones.

    Raises:
        UserError: If the images or the method that uses them is missing.
    """
    learns = (cfg.get('model') or {}).get('unlabeled') is not None
    mixed = is_mixed(cfg)
    if learns and not mixed:
        raise UserError(
            'model.unlabeled is set, but there are no unlabeled images. Name some by --unlabeled '
            'DIR, VIDEO or ANNOTATIONS.json.'
        )
    if mixed and not learns:
        raise UserError(
            'train_dataloader has unlabeled images, but model.unlabeled is not set. Choose a '
            'method that learns from them, e.g. --method okdhp_unlabeled, or remove the images.'
        )
    if mixed:
        check_sampler(cfg.train_dataloader)
        warn_of_overlap(cfg, pictures_in(cfg.train_dataloader.dataset, unlabeled=True))


def check_sampler(loader: ConfigDict) -> None:
    """Check that the batches of a data loader have labeled and unlabeled persons.

    Raises:
        UserError: If they do not, or their size is another than that of the sampler.
    """
    numbers = loader.sampler.get('batch_size') if is_mixed_sampler(loader.sampler) else None
    if not numbers or min(numbers) < 1 or sum(numbers) != loader.batch_size:
        raise UserError(
            f'train_dataloader has batch_size={loader.batch_size} and sampler='
            f'{loader.sampler.to_dict()}, but a batch must have labeled and unlabeled persons. Set '
            "e.g. batch_size=16, sampler=dict(type='MixedSampler', batch_size=(8, 8)); their sum "
            'is the first.'
        )
