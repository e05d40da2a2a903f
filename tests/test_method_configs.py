"""The configs of `head_only` are the student's own, trained by the method for a fifth as long."""

from pathlib import Path

import pytest
from mmengine.config import Config

from okdhp_mm.recipes.methods import apply_method

CONFIGS = Path(__file__).parents[1] / 'configs'
HEAD_ONLY = sorted((CONFIGS / 'head_only').glob('*.py'))


def first_stage(config):
    return Config.fromfile(CONFIGS / 'okdhp' / config.name.removeprefix('head_only_'))


def test_config_names_are_unique():
    """`mim train okdhp-mmpose NAME` asks which one is meant otherwise."""
    names = [file.name for file in CONFIGS.glob('[!_]*/*.py')]
    assert len(names) == len(set(names)) > 15


@pytest.mark.parametrize('config', HEAD_ONLY, ids=lambda file: file.stem)
def test_the_config_says_what_the_flag_of_the_trainer_does(config):
    flagged, written = first_stage(config), Config.fromfile(config)
    apply_method(flagged.model, 'head_only')
    assert written.model.to_dict() == flagged.model.to_dict()
    assert written.train_dataloader == flagged.train_dataloader


@pytest.mark.parametrize('config', HEAD_ONLY, ids=lambda file: file.stem)
def test_the_second_stage_is_a_fifth_of_the_first(config):
    first, second = first_stage(config), Config.fromfile(config)
    assert second.train_cfg.max_epochs * 5 == first.train_cfg.max_epochs == 210
    assert [s.end for s in second.param_scheduler] == [500, 42]
    assert second.param_scheduler[1].milestones == [
        m // 5 for m in first.param_scheduler[1].milestones
    ]
