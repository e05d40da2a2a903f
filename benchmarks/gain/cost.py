"""Compare the cost of a step of the branches with one of the student alone, in turns."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from step_time import packed_batch, start_training
from timing import take_turns
from torch import nn

from .devices import device_name, may_be_timed
from .training import LAYOUT, keep, kept

REPEATS = 15


def cost_ratio(branches: Config, alone: Config, file: Path, repeats: int = REPEATS) -> float:
    """Return the median ratio. It is measured once per device and kept.

    The data are left out, so that the student alone is given at least its due.

    Args:
        branches: Config of the default method.
        alone: Config of the student.
        file: Where it is kept.
        repeats: How many rounds.
    """
    here, found = device_name(), kept(file)
    if not found or not may_be_timed(found.get('device'), here):
        init_default_scope('mmpose')
        torch.backends.cudnn.benchmark = alone.env_cfg.cudnn_benchmark
        sides = dict(branches=training_step(branches), alone=training_step(alone))
        seconds = take_turns(sides, repeats)
        ratios = [a / b for a, b in zip(seconds['branches'], seconds['alone'], strict=True)]
        file.parent.mkdir(parents=True, exist_ok=True)
        found = dict(ratio=statistics.median(ratios), ratios=ratios, device=here)
        keep(file, found)
    return found['ratio']


def training_step(cfg: Config) -> Callable[[], None]:
    """Run a step like a training: its layout, its precision, its optimizer."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(copy.deepcopy(cfg.model)).to(device, memory_format=LAYOUT).train()
    if 'branches' in cfg.model:
        start_training(model)
    batch = packed_batch(model, cfg.train_dataloader.batch_size)
    return partial(step, model, batch, build_optim_wrapper(model, cfg.optim_wrapper))


def step(model: nn.Module, batch: dict, optim_wrapper: OptimWrapper) -> None:
    """``BaseModel.train_step`` of a batch that is preprocessed."""
    with optim_wrapper.optim_context(model):
        losses = model(**batch, mode='loss')
    optim_wrapper.update_params(model.parse_losses(losses)[0])
