"""The leaf of a method and a student is the student's own config, trained by the method."""

from pathlib import Path

import pytest
from mmengine.config import Config

from okdhp_mm.methods import apply_method, method_files

CONFIGS = Path(__file__).parents[1] / 'configs'
LEAVES = [file for file in sorted(CONFIGS.glob('[!_]*/*.py')) if file.parent.name != 'okdhp']
STUDENTS = {'resnet18_mpii', 'mobilenetv2_mpii', 'shufflenetv2_mpii', 'resnet18_coco'}
OTHER = {'okdhp', 'okdhp_official', 'okdhp_colours', 'branches'}


def test_every_method_has_a_config_of_every_student():
    methods = {file.parent.name for file in LEAVES}
    assert methods == method_files().keys() - OTHER
    for method in methods:
        assert {file.stem for file in LEAVES if file.parent.name == method} == STUDENTS


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda file: f'{file.parent.name}/{file.stem}')
def test_a_leaf_says_what_the_flag_of_the_trainer_does(leaf):
    flagged = Config.fromfile(CONFIGS / 'okdhp' / leaf.name)
    apply_method(flagged.model, leaf.parent.name)
    written = Config.fromfile(leaf)
    assert written.model.to_dict() == flagged.model.to_dict()
    assert written.train_dataloader == flagged.train_dataloader


def test_the_second_stage_is_a_fifth_of_the_first():
    for leaf in (CONFIGS / 'head_only').glob('*.py'):
        first, second = (Config.fromfile(CONFIGS / d / leaf.name) for d in ('okdhp', 'head_only'))
        assert second.train_cfg.max_epochs * 5 == first.train_cfg.max_epochs == 210
        assert [s.end for s in second.param_scheduler] == [500, 42]
        assert second.param_scheduler[1].milestones == [
            m // 5 for m in first.param_scheduler[1].milestones
        ]
