"""What the tools share: data that are missing, weights that are dropped, errors that are told."""

import argparse
import copy
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict

from okdhp_mm.cli import (
    add_cfg_options,
    build_runner,
    check_data,
    drop_pretrained,
    errors_in_one_sentence,
    merge_options,
)
from okdhp_mm.config_file import read_config
from okdhp_mm.demo.figures import write_coco
from okdhp_mm.errors import UserError


@pytest.fixture
def config(tmp_path):
    """A config whose data are all there."""
    for folder in ('annotations', 'train', 'val'):
        (tmp_path / folder).mkdir()
    for name in ('train', 'val', 'boxes'):
        (tmp_path / 'annotations' / f'{name}.json').write_text(json.dumps({}))

    def loader(split, **extra):
        return dict(
            dataset=dict(
                data_root=f'{tmp_path}/',
                ann_file=f'annotations/{split}.json',
                data_prefix=dict(img=f'{split}/'),
                **extra,
            )
        )

    boxes = str(tmp_path / 'annotations' / 'boxes.json')
    metric = dict(type='CocoMetric', ann_file=str(tmp_path / 'annotations' / 'val.json'))
    return Config(
        dict(
            train_dataloader=loader('train'),
            val_dataloader=loader('val', bbox_file=boxes),
            val_evaluator=dict(type='EveryOutputMetric', metric=metric),
        )
    )


def test_data_that_are_there_pass(config):
    check_data(config, 'train', 'val', 'test')


@pytest.mark.parametrize(
    ('change', 'path'),
    [
        ({'train_dataloader.dataset.ann_file': 'annotations/none.json'}, 'none.json'),
        ({'train_dataloader.dataset.data_prefix.img': 'pictures/'}, 'pictures/'),
        ({'train_dataloader.dataset.data_root': '/nowhere/'}, '/nowhere/annotations/train.json'),
        ({'val_dataloader.dataset.bbox_file': 'detections.json'}, 'detections.json'),
        ({'val_dataloader.dataset.headbox_file': 'gt.mat'}, 'gt.mat'),
        ({'val_evaluator.metric.ann_file': '/elsewhere/val.json'}, '/elsewhere/val.json'),
    ],
)
def test_a_missing_file_or_folder_is_named_with_the_option_that_mends_it(config, change, path):
    config.merge_from_dict(change)
    (option,) = change
    with pytest.raises(UserError, match='does not exist') as caught:
        check_data(config, 'train', 'val')
    assert path in str(caught.value)
    assert option in str(caught.value)


def test_only_the_asked_splits_are_looked_at(config):
    config.merge_from_dict({'train_dataloader.dataset.ann_file': 'none.json'})
    check_data(config, 'val')


def test_wrapped_datasets_and_lists_of_metrics_are_looked_into(config):
    inner = config.train_dataloader.dataset.to_dict()
    inner['ann_file'] = 'none.json'
    for wrapper in (dict(datasets=[inner]), dict(dataset=inner)):
        with pytest.raises(UserError, match='none.json does not exist'):
            check_data(Config(dict(train_dataloader=dict(dataset=wrapper))), 'train')
    evaluators = [dict(type='EPE'), dict(type='CocoMetric', ann_file='none.json')]
    with pytest.raises(UserError, match='none.json does not exist.*val_evaluator.1.ann_file'):
        check_data(Config(dict(val_evaluator=evaluators)), 'val')


def test_remote_data_are_left_to_their_backend(config):
    config.train_dataloader.dataset.update(data_root='s3://bucket/')
    check_data(config, 'train')


PRETRAINED = dict(type='Pretrained', checkpoint='torchvision://resnet50')
KAIMING = dict(type='Kaiming', layer='Conv2d')


def test_from_scratch_drops_every_pretrained_initialisation_and_no_other():
    model = ConfigDict(
        init_cfg=copy.deepcopy(PRETRAINED),
        backbone=dict(type='A', init_cfg=[KAIMING, PRETRAINED], stem=dict(init_cfg=PRETRAINED)),
        branches=[dict(backbone=dict(init_cfg=PRETRAINED)), dict(head=dict(init_cfg=KAIMING))],
        neck=None,
    )
    drop_pretrained(model)
    assert model.to_dict() == dict(
        backbone=dict(type='A', init_cfg=[KAIMING], stem=dict()),
        branches=[dict(backbone=dict()), dict(head=dict(init_cfg=KAIMING))],
        neck=None,
    )


ROOT = Path(__file__).parents[1]
MPII = str(ROOT / 'configs' / 'okdhp' / 'resnet18_mpii.py')


@pytest.fixture
def config_of(monkeypatch):
    """The config that a tool makes of its command line."""

    def make(name, *arguments):
        tool = runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))
        monkeypatch.setattr(sys, 'argv', [name, *arguments])
        return tool['config_from'](tool['parse_args']())

    return make


def test_options_for_data_that_are_not_validated_on_do_no_harm(config_of):
    cfg = config_of('train', MPII, '--no-validate', '--cfg-options', 'val_dataloader.dataset.a=1')
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None


def test_options_for_an_evaluator_are_merged_before_the_dump_joins_it(config_of):
    option = ('--cfg-options', 'test_evaluator.metric.ann_file=own.json')
    own, dump = config_of('test', MPII, 'a.pth', '--dump', 'all.pkl', *option).test_evaluator
    assert own.metric.ann_file == 'own.json'
    assert dump == dict(type='DumpResults', out_file_path='all.pkl')


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
    with pytest.raises(UserError, match=f'{flag.split("=")[0]} .*needs {missing}, .*add {missing}'):
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


def test_a_missing_config_is_told():
    with pytest.raises(UserError, match='The config nowhere.py does not exist'):
        read_config('nowhere.py')


@pytest.mark.parametrize(
    ('name', 'text', 'reason'),
    [
        ('a.py', 'model = dict(', "'\\(' was never closed"),
        ('a.py', "_base_ = './nowhere.py'", 'No such file or directory.*nowhere.py'),
        ('a.py', "custom_imports = dict(imports=['my_method'])", 'my_method.*be on PYTHONPATH'),
        ('README.md', '# A title', 'Only py/yml/yaml/json'),
    ],
)
def test_a_config_that_cannot_be_read_is_told_with_the_reason(tmp_path, name, text, reason):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UserError, match=f'{name} cannot be read .*{reason}'):
        read_config(file)


def test_a_method_whose_module_is_not_found_is_told(config_of, tmp_path):
    method = tmp_path / 'own.py'
    method.write_text("custom_imports = dict(imports=['my_method'])\nmethod = dict()\n")
    with pytest.raises(UserError, match='own.py cannot be read .*my_method.*be on PYTHONPATH'):
        config_of('train', MPII, '--method', str(method))


@pytest.mark.parametrize('option', ['foo', 'model.branches 4'])
def test_an_option_without_a_value_is_told(option, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a=1', option])
    assert f'--cfg-options: \'{option}\' has no "="; write KEY=VALUE' in capsys.readouterr().err


def test_an_option_that_has_no_place_is_told():
    with pytest.raises(UserError, match='--cfg-options evaluator.ann_file=a.json cannot be merged'):
        merge_options(Config(dict(evaluator=[dict(ann_file='')])), {'evaluator.ann_file': 'a.json'})


@pytest.mark.parametrize(
    ('option', 'reason'),
    [
        ({'model.branchs': 4}, "unexpected keyword argument 'branchs'"),
        ({'model.aggregator.type': 'MeanAgg'}, 'MeanAgg is not in the .* registry'),
        ({'train_cfg.max_epoch': 3}, "unexpected keyword argument 'max_epoch'"),
        ({'optim_wrapper.optimizer.type': 'Adamm'}, "optimizer=.*'Adamm'.* cannot be built"),
        ({'optim_wrapper.optimizer.learning_rate': 1.0}, "unexpected keyword .*'learning_rate'"),
        pytest.param(
            {'optim_wrapper.type': 'AmpOptimWrapper'},
            '--amp .* needs a GPU',
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='there is one'),
        ),
    ],
)
def test_a_slip_in_an_option_is_told_with_the_hosts_reason(tmp_path, option, reason):
    annotations = write_coco(tmp_path, 'train', 2, seed=0)
    cfg = read_config(ROOT / 'configs' / 'okdhp' / 'demo.py')
    cfg.work_dir = str(tmp_path / 'run')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = f'{annotations.parents[1]}/'
    merge_options(cfg, option)
    with pytest.raises(UserError, match=reason):
        build_runner(cfg, 'train')


def test_a_users_error_ends_the_program_with_its_sentence_and_others_keep_their_traceback():
    with pytest.raises(SystemExit) as caught, errors_in_one_sentence():
        raise UserError('the wrong thing; do the right thing.')
    assert caught.value.code == 'error: the wrong thing; do the right thing.'
    with pytest.raises(ZeroDivisionError), errors_in_one_sentence():
        raise ZeroDivisionError
