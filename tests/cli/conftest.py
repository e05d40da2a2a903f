"""Configs that commands make."""

import importlib
from pathlib import Path

import pytest

from okdhp_mm.commands import COMMANDS
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.io.config import read_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config_of():
    """The config that a command makes of its arguments."""

    def make(name, *arguments):
        command = importlib.import_module(COMMANDS[name].module)
        return command.config_from(command.parse_args(arguments))

    return make


@pytest.fixture
def demo(tmp_path):
    """The demo's training config, with two drawn persons."""
    annotations = write_coco(tmp_path, 'train', 2, seed=0)
    cfg = read_config(ROOT / 'configs' / 'okdhp' / 'demo.py')
    cfg.work_dir = str(tmp_path / 'run')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = f'{annotations.parents[1]}/'
    return cfg
