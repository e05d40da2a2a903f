"""Config files: what cannot be read, data that are missing, weights that are dropped."""

import copy
import json

import pytest
from common import paired_metainfo
from mmengine.config import Config, ConfigDict
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from okdhp_mm.data.files import as_data_error, check_data
from okdhp_mm.errors import UserError
from okdhp_mm.io.config import config_text, drop_pretrained, read_config


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


@pytest.mark.parametrize('count', [4, 12, 134])
def test_the_keypoints_of_a_written_config_keep_their_order(tmp_path, count):
    """mmpose reads the partners of mirrored keypoints from the order of the dict."""
    own = paired_metainfo(count)
    cfg = Config(dict(train_dataloader=dict(dataset=dict(datasets=[dict(metainfo=own)]))))
    (tmp_path / 'a.py').write_text(config_text(cfg))
    read = Config.fromfile(tmp_path / 'a.py')
    assert read.to_dict() == cfg.to_dict()
    assert all(type(i) is int for i in keypoints_of(read))
    found = parse_pose_metainfo(read.train_dataloader.dataset.datasets[0].metainfo)
    expected = parse_pose_metainfo(own)
    assert found['flip_indices'] == expected['flip_indices']
    assert [found['flip_indices'][i] for i in found['flip_indices']] == list(range(count))
    assert (found['keypoint_colors'] == expected['keypoint_colors']).all()


def keypoints_of(cfg):
    return cfg.train_dataloader.dataset.datasets[0].metainfo.keypoint_info


def test_keypoints_that_mmengine_wrote_in_another_order_are_sorted(tmp_path):
    own = paired_metainfo(12)
    Config(dict(train_dataloader=dict(dataset=dict(datasets=(dict(metainfo=own),))))).dump(
        tmp_path / 'a.py'
    )
    # This is mmengine's fault. Without it, the functions under test can go.
    assert list(keypoints_of(Config.fromfile(tmp_path / 'a.py')))[:3] == [0, 1, 10]
    assert list(keypoints_of(read_config(tmp_path / 'a.py'))) == list(range(12))


def test_keypoints_with_other_keys_stay_as_they_are(tmp_path):
    """The check of the data refuses them."""
    (tmp_path / 'a.py').write_text("a = dict(keypoint_info={2: 'x', 'b': 'y', 1: 'z'})")
    assert list(read_config(tmp_path / 'a.py').a.keypoint_info) == [2, 'b', 1]


def test_other_entries_are_written_as_mmengine_writes_them():
    cfg = Config(dict(b={2: 'x', 10: (1, [dict(c=None)])}, a=dict(keypoint_info='none')))
    assert config_text(cfg) == cfg.pretty_text


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
            val_evaluator=dict(type='MultiOutputMetric', metric=metric),
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


@pytest.mark.parametrize('splits', ['train', 'val'])
def test_a_missing_metainfo_is_named_and_one_of_mmposes_own_is_found(config, splits):
    dataset = config[f'{splits}_dataloader'].dataset
    dataset.metainfo = dict(from_file='nope.py')
    with pytest.raises(UserError, match='nope.py does not exist.*dataset.metainfo.from_file=...'):
        check_data(config, splits)
    dataset.metainfo.from_file = 'configs/_base_/datasets/mpii.py'
    check_data(config, splits)
    dataset.metainfo = dict(classes=['person'])
    check_data(config, splits)


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


def test_all_files_of_the_splits_are_named_that_may_be_at_fault(config):
    with (
        pytest.raises(
            UserError, match='boxes.json or .*train.json or .*val.json is not complete JSON'
        ),
        as_data_error(config, 'train', 'val'),
    ):
        json.loads('{')
    with pytest.raises(ValueError, match='^other$') as kept, as_data_error(config, 'train'):
        raise ValueError('other')
    assert kept.type is ValueError


def test_remote_data_are_left_to_their_backend(config):
    config.train_dataloader.dataset.update(data_root='s3://bucket/')
    check_data(config, 'train')


PRETRAINED = dict(type='Pretrained', checkpoint='torchvision://resnet50')
KAIMING = dict(type='Kaiming', layer='Conv2d')


def test_from_scratch_drops_every_pretrained_initialization_and_no_other():
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
