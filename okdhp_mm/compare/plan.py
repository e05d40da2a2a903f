"""Configs of the runs to train: every method with every seed, and the student alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..data.files import check_data
from ..errors import UserError, as_user_error
from ..io.config import drop_pretrained, read_config
from ..models.teachers import FrozenTeacher
from ..recipes.alone import ALONE, alone_config
from ..recipes.methods import apply_method_to_config, method_file
from ..recipes.unlabeled import check_images


@dataclass(frozen=True)
class PlannedRun:
    """A run to train.

    Attributes:
        method: Name of the method, or ``alone``.
        seed: Seed of the training.
        folder: Work directory.
        config: Config of the training; its file does not exist yet.
    """

    method: str
    seed: int
    folder: Path
    config: Config

    @property
    def file(self) -> Path:
        """Return the file that the config is written to."""
        return self.folder.with_name(f'{self.folder.name}.py')


def plan(config: str, methods: Sequence[str], seeds: Sequence[int], out: Path) -> list[PlannedRun]:
    """Return all runs, seed by seed, so that complete pairs exist early.

    Args:
        config: File of a training config with branches.
        methods: Names or files of methods.
        seeds: Seeds of the trainings.
        out: Folder of all runs.

    Raises:
        UserError: If a method does not exist, does not fit the config or needs a teacher, or the
            config has no branches, validation or data.
    """
    for kind, values in (('--methods', methods), ('--seeds', seeds)):
        if len(set(values)) < len(values):
            raise UserError(f'{kind} {" ".join(map(str, values))} names one twice.')
    for method in methods:
        if method != ALONE:
            method_file(method)
    cfg = read_config(config)
    if not cfg.get('val_dataloader'):
        raise UserError(f'{config} has no val_dataloader, so its runs cannot be compared.')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    configs = {ALONE: alone_config(cfg, config)}
    for method in methods:
        if method != ALONE:
            configs[Path(method).stem] = method_config(cfg, method)
    check_data(cfg, 'train', 'val')
    return [
        PlannedRun(name, seed, out / name / f'seed{seed}', with_seed(each, seed))
        for seed in seeds
        for name, each in configs.items()
    ]


def method_config(cfg: Config, method: str) -> Config:
    """Return the config of a method, whose model has been built once.

    Raises:
        UserError: If the method needs a teacher, or does not fit the model.
    """
    own = copy.deepcopy(cfg)
    apply_method_to_config(own, method)
    check_images(own)
    teacher = own.model.get('teacher') or {}
    if teacher.get('type') == FrozenTeacher.__name__ and not teacher.get('checkpoint'):
        raise UserError(
            f'The method {method} needs a trained teacher. Write a method file that names '
            'teacher.config and teacher.checkpoint, and give its path.'
        )
    model = copy.deepcopy(own.model)
    drop_pretrained(model)
    with as_user_error(f'The method {method} cannot train this model', KeyError, TypeError):
        MODELS.build(model)
    return own


def with_seed(cfg: Config, seed: int) -> Config:
    """Return a config with another seed, to be written without reformatting."""
    content = cfg.to_dict()
    content['randomness'] = {**(content.get('randomness') or {}), 'seed': seed}
    for key in ('work_dir', 'resume'):
        content.pop(key, None)
    return Config(content, format_python_code=False)
