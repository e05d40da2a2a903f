"""What the tools share: data that are missing, weights that are dropped, errors that are told."""

import copy
import json
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict

from okdhp_mm.cli import check_data, drop_pretrained, errors_in_one_sentence, read_config
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


def test_a_missing_config_is_told():
    with pytest.raises(UserError, match='The config nowhere.py does not exist'):
        read_config('nowhere.py')


def test_a_users_error_ends_the_program_with_its_sentence_and_others_keep_their_traceback():
    with pytest.raises(SystemExit) as caught, errors_in_one_sentence():
        raise UserError('the wrong thing; do the right thing.')
    assert caught.value.code == 'error: the wrong thing; do the right thing.'
    with pytest.raises(ZeroDivisionError), errors_in_one_sentence():
        raise ZeroDivisionError
