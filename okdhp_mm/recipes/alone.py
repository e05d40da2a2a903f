"""Train the student alone: the stock network of a training config, without distillation."""

from __future__ import annotations

from mmengine.config import Config

from ..errors import UserError
from ..io.checkpoint import load_checkpoint
from ..models.branch_configs import ESTIMATOR, config_branches, deployed_output
from ..models.weights.load_stock import is_branched
from ..student.config import student_config

ALONE = 'alone'
"""Name of this training among the methods."""


def alone_config(cfg: Config, config: str) -> Config:
    """Return the config of the student without distillation.

    Args:
        cfg: Training config with branches.
        config: Its file, for error messages.

    Raises:
        UserError: If the config has no branches, or starts from a multi-branch checkpoint.
    """
    if (cfg.get('model') or {}).get('type') != ESTIMATOR:
        raise UserError(
            f'{config} has no branches, so the student cannot be trained without them. Make a '
            'training config of it with tools/okdhp_config.py.'
        )
    start, deployed = cfg.get('load_from'), deployed_output(cfg.model)
    count = len(config_branches(cfg.model))
    branch = deployed if isinstance(deployed, int) and deployed < count else 0
    content = student_config(cfg, branch, to_train=True).to_dict()
    alone = Config(content, filename=cfg.filename)
    if 'resume' in cfg:
        alone.resume = cfg.resume
    if start:
        if '://' not in start and is_branched(load_checkpoint(start)['state_dict']):
            raise UserError(
                f'load_from={start} is of a multi-branch training, from which the student alone '
                'cannot start. Export the student, or start from a stock checkpoint.'
            )
        alone.load_from = start
    return alone
