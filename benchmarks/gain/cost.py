"""What a step of the branches costs beside one of the student alone, both in turns."""

from __future__ import annotations

import copy
import json
import statistics
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from step_time import packed_batch, step
from timing import take_turns

REPEATS = 15


def cost_ratio(branches: Config, alone: Config, file: Path, repeats: int = REPEATS) -> float:
    """The median ratio, measured once and kept.

    The data are left out, so that the student alone is given at least its due.

    Args:
        branches: Config of the default method.
        alone: Config of the student.
        file: Where it is kept.
        repeats: How many rounds.
    """
    if not file.is_file():
        init_default_scope('mmpose')
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        models = [MODELS.build(copy.deepcopy(cfg.model)).to(device) for cfg in (branches, alone)]
        batch = packed_batch(models[0], branches.train_dataloader.batch_size)
        sides = {
            name: partial(step, model.train(), batch)
            for name, model in zip(('branches', 'alone'), models, strict=True)
        }
        seconds = take_turns(sides, repeats)
        ratios = [a / b for a, b in zip(seconds['branches'], seconds['alone'], strict=True)]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(dict(ratio=statistics.median(ratios), ratios=ratios)))
    return json.loads(file.read_text())['ratio']
