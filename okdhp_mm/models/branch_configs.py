"""Configs of the branches: the stock student's, with what each branch changes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmengine.config import Config, ConfigDict
from mmengine.utils import is_seq_of

from ..errors import UserError

ESTIMATOR, STOCK_ESTIMATOR = 'OKDHPTopdownPoseEstimator', 'TopdownPoseEstimator'
DEFAULT_BRANCHES = 3
METHOD_KEYS = (
    *('aggregator', 'distiller', 'teacher', 'ema'),
    *('trunk_grad', 'views', 'unlabeled', 'freeze_backbone'),
)
"""Model keys that a method sets; the default method, OKDHP, sets none."""
BRANCH_KEYS = ('backbone', 'neck', 'head')


def branch_models(student: dict, branches: int | Sequence[dict]) -> list[ConfigDict]:
    """Return the student config of every branch: the stock config with the branch's changes.

    Args:
        student: The stock model's ``backbone``, ``neck`` and ``head``.
        branches: Number of equal branches, or a list with the changes of each branch, e.g.
            ``[dict(), dict(head=dict(deconv_out_channels=(128, 128, 128)))]``.

    Raises:
        UserError: If ``branches`` is empty, or a branch changes another entry.
    """
    if not isinstance(branches, int) and not is_seq_of(branches, dict):
        raise UserError(
            f'branches={branches!r} is neither a number nor a list of dicts. Set the number of '
            'branches, or a dict of changes for each.'
        )
    changes = [{}] * branches if isinstance(branches, int) else list(branches)
    if not changes:
        raise UserError(f'branches={branches!r}: there must be at least one branch.')
    models = []
    for m, change in enumerate(changes):
        unknown = set(change) - set(BRANCH_KEYS)
        if unknown:
            raise UserError(
                f'branch {m} changes {sorted(unknown)}; a branch can change {BRANCH_KEYS}.'
            )
        model = Config(dict(copy.deepcopy({key: student.get(key) for key in BRANCH_KEYS})))
        model.merge_from_dict(copy.deepcopy(dict(change)))
        models.append(model._cfg_dict)
    return models


def deployed_output(model: dict) -> int | str:
    """Return the output that a model's config deploys, an index or 'ensemble'."""
    return (model.get('test_cfg') or {}).get('branch', 0)


def config_branches(model: dict) -> list[ConfigDict]:
    """Return the student config of every branch of a training config's model."""
    return branch_models(model, model.get('branches', DEFAULT_BRANCHES))
