"""Real persons for a config that is trained on MPII."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from okdhp_mm.io.config import drop_pretrained


def config_of(file: str, data: str) -> Config:
    """Return a config of MPII's, from scratch, with its data in any folder of that layout.

    Args:
        file: Training config.
        data: Folder with ``images/`` and ``annotations/``.
    """
    config = Config.fromfile(file)
    drop_pretrained(config.model)
    headboxes = Path(data).resolve() / 'annotations' / 'mpii_gt_val.mat'
    for split in ('train', 'val'):
        dataset = config[f'{split}_dataloader'].dataset
        dataset.data_root = f'{data}/'
        if split == 'val':
            dataset.headbox_file = str(headboxes)
    return config
