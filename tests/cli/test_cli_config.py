"""Arguments of mmpose's train.py and test.py, and the config that they make."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from okdhp_mm.errors import UserError

MPII = str(Path(__file__).parents[2] / 'configs' / 'okdhp' / 'resnet18_mpii.py')


def test_options_for_data_that_are_not_validated_on_do_no_harm(config_of):
    cfg = config_of('train', MPII, '--no-validate', '--cfg-options', 'val_dataloader.dataset.a=1')
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None


def test_options_for_an_evaluator_are_merged_before_the_dump_joins_it(config_of):
    option = ('--cfg-options', 'test_evaluator.metric.ann_file=own.json')
    own, dump = config_of('test', MPII, 'a.pth', '--dump', 'all.pkl', *option).test_evaluator
    assert own.metric.ann_file == 'own.json'
    assert dump == dict(type='DurableDumpResults', out_file_path='all.pkl')


def test_a_dump_joins_evaluators_in_a_tuple(config_of, tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = {MPII!r}\ntest_evaluator = dict(type='AUC'), dict(type='EPE')\n")
    cfg = config_of('test', str(own), 'a.pth', '--dump', 'all.pkl')
    assert [metric['type'] for metric in cfg.test_evaluator] == ['AUC', 'EPE', 'DurableDumpResults']


def test_a_test_never_resumes(config_of, tmp_path):
    resumed = tmp_path / 'resumed.py'
    resumed.write_text(f'_base_ = {MPII!r}\nresume = True\n')
    cfg = config_of('test', str(resumed), 'a.pth')
    assert (cfg.resume, cfg.load_from) == (False, 'a.pth')


@pytest.mark.parametrize(
    ('tool', 'flag', 'missing'),
    [
        ('train', '--amp', 'optim_wrapper'),
        ('train', '--auto-scale-lr', 'auto_scale_lr'),
        ('train', '--show', 'default_hooks.visualization'),
        ('test', '--show-dir=pictures', 'default_hooks.visualization'),
        ('test', '--dump=all.pkl', 'test_evaluator'),
        ('test', '--badcase', 'default_hooks.badcase'),
        ('test', '--badcase', 'model.head.loss'),
        ('test', '--badcase', 'test_evaluator'),
    ],
)
@pytest.mark.parametrize('section', [True, False], ids=['the section', 'all of it'])
def test_a_flag_for_what_the_config_has_not_is_told(
    config_of, tmp_path, tool, flag, missing, section
):
    cfg = Config.fromfile(MPII).to_dict()
    if missing == 'test_evaluator':
        cfg['default_hooks']['badcase']['metric_type'] = 'accuracy'
    *path, name = missing.split('.') if section else missing.split('.')[:1]
    owner = cfg
    for key in path:
        owner = owner[key]
    del owner[name]
    Config(cfg).dump(tmp_path / 'own.py')
    arguments = (flag,) if tool == 'train' else ('a.pth', flag)
    with pytest.raises(
        UserError, match=f'{flag.split("=")[0]} .*requires {missing}, .*Add {missing}'
    ):
        config_of(tool, str(tmp_path / 'own.py'), *arguments)


def test_a_metric_for_bad_cases_of_the_users_own_is_kept(config_of, tmp_path):
    cfg = Config.fromfile(MPII)
    cfg.default_hooks.badcase.metric = dict(type='KeypointMSELoss')
    del cfg.model.head['loss']
    cfg.dump(tmp_path / 'own.py')
    badcase = config_of(
        'test', str(tmp_path / 'own.py'), 'a.pth', '--badcase'
    ).default_hooks.badcase
    assert badcase.enable
    assert badcase.metric == dict(type='KeypointMSELoss')


def test_a_method_whose_module_is_not_found_is_told(config_of, tmp_path):
    method = tmp_path / 'own.py'
    method.write_text("custom_imports = dict(imports=['my_method'])\nmethod = dict()\n")
    with pytest.raises(UserError, match='own.py cannot be read .*my_method.*be on PYTHONPATH'):
        config_of('train', MPII, '--method', str(method))


def test_mpis_name_for_the_rank_on_a_machine_counts(config_of, monkeypatch):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_RANK', '3')
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    config_of('train', MPII, '--launcher', 'mpi')
    assert os.environ['LOCAL_RANK'] == '3'
