"""Runs of one seed start from the same weights and see the same batches, and prove it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable

import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import Tensor, nn

from okdhp_mm.errors import UserError
from okdhp_mm.models.branch_configs import config_branches
from okdhp_mm.models.state_names import student_name
from okdhp_mm.student.config import stock_model
from okdhp_mm.student.state import student_state

from .devices import may_be_paired


def initial_state(cfg: Config, seed: int) -> dict[str, Tensor]:
    """Return the weights that a run starts from.

    Trunk and branch 0 are the student of this seed, as it starts alone; branch m is the upper part
    of another student's.

    Args:
        cfg: Config of the run.
        seed: The run's.
    """
    state = initialized(cfg.model, seed).state_dict()
    if 'branches' not in cfg.model:
        return state
    students = [
        initialized(stock_model(cfg.model | own), seed + 1000 * m).state_dict()
        for m, own in enumerate(config_branches(cfg.model))
    ]
    for name in state:
        if owner := student_name(name):
            branch, own_name = owner
            state[name] = students[branch or 0][own_name]
    return state


def initialized(model: dict, seed: int) -> nn.Module:
    """Return the model with its random weights of this seed."""
    torch.manual_seed(seed)
    built = MODELS.build(copy.deepcopy(model))
    built.init_weights()
    return built


def student_digest(state: dict[str, Tensor]) -> str:
    """Tells apart the weights of students: the one alone, or that of branch 0."""
    own = student_state(state, 0) or state
    return digest(own[name] for name in sorted(own))


def digest(tensors: Iterable[Tensor]) -> str:
    """Tells tensors apart, bit for bit."""
    code = hashlib.sha256()
    for tensor in tensors:
        code.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return code.hexdigest()[:16]


def check_pairs(results: list[dict]) -> None:
    """Compare what the runs of every student and seed started from, saw and were trained on.

    Raises:
        UserError: If two that should be a pair are none.
    """
    first, placed = {}, {}
    for result in results:
        key = result['student'], result['seed']
        other = first.setdefault(key, result)
        pair = f'{result["student"]}, seed {result["seed"]}:'
        where = f'{pair} {other["arm"]} and {result["arm"]}'
        again = 'were their arms trained by different versions? Choose another --out.'
        if other['initial'] != result['initial']:
            raise UserError(f'{where} did not start from the same weights; {again}')
        # One may be longer.
        seen = zip(other['batches'], result['batches'], strict=False)
        if any(one != another for one, another in seen):
            raise UserError(f'{where} did not see the same batches; {again}')
        if result.get('device') is None:  # of an earlier version
            continue
        other = placed.setdefault(key, result)
        if not may_be_paired(other['device'], result['device']):
            raise UserError(
                f'{pair} {other["arm"]} was trained on {other["device"]!r} and {result["arm"]} on '
                f'{result["device"]!r}; remove one of them, or choose another --out.'
            )
