"""Annotations and pictures that training or evaluation cannot use end in one sentence."""

import copy
import json
import os
import time

import cv2
import numpy as np
import pytest
from common import okdhp_model
from mmengine.config import Config

from okdhp_mm.data.annotations import CocoLayout, check_coco
from okdhp_mm.data.check import check_datasets
from okdhp_mm.data.files import check_data
from okdhp_mm.data.pictures import check_pictures
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.io.data_files import read_json

DELETE = object()
ANNOTATIONS = 'annotations/person_keypoints_{}2017.json'


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drawn')
    write_coco(folder, 'train', 3, seed=0)
    return folder, json.loads((folder / ANNOTATIONS.format('train')).read_text())


@pytest.fixture
def config(drawn, tmp_path):
    """A config for the drawn pictures with annotations of the test's own, and their writer."""
    folder, content = drawn
    file = tmp_path / 'own.json'

    def write(new):
        file.write_bytes(new if isinstance(new, bytes) else json.dumps(new).encode())

    write(content)
    dataset = dict(
        type='CocoDataset', ann_file=str(file), data_prefix=dict(img=f'{folder}/train2017/')
    )
    cfg = Config(
        dict(
            model=okdhp_model(),
            train_dataloader=dict(dataset=dataset),
            val_dataloader=dict(dataset=dict(dataset, test_mode=True)),
            val_evaluator=dict(
                type='MultiOutputMetric', metric=dict(type='CocoMetric', ann_file=str(file))
            ),
        )
    )
    return cfg, write


def changed(content, path, value):
    """A copy with the value at a path such as 'annotations.1.bbox.2' replaced or deleted."""
    content = copy.deepcopy(content)
    *parents, last = [int(key) if key.isdecimal() else key for key in path.split('.')]
    place = content
    for key in parents:
        place = place[key]
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    return content


def test_good_annotations_pass(config):
    check_data(config[0], 'train', 'val')


@pytest.mark.parametrize(
    ('path', 'value', 'reason'),
    [
        ('annotations', None, '`annotations` is a NoneType'),
        ('images', DELETE, '`images` is missing'),
        ('annotations.1', None, 'entry 1 of `annotations` is None'),
        ('annotations.1.id', 'x', "annotation 'x' .*`id` is 'x', but must be an integer"),
        ('annotations.1.id', [1], '`id` is .1., but must be an integer'),
        ('annotations.1.image_id', DELETE, '`image_id` is missing'),
        ('annotations.1.category_id', None, '`category_id` is None'),
        ('annotations.1.keypoints', 'text', '`keypoints` is not a list of finite numbers'),
        ('annotations.1.keypoints', [1.0] * 15, '5 keypoints, but the metainfo has 17'),
        ('annotations.1.keypoints', [1.0] * 50, '50 numbers, not 3 each'),
        ('annotations.1.keypoints.4', float('nan'), 'not a list of finite numbers'),
        ('annotations.1.keypoints.4', 10**400, 'not a list of finite numbers'),
        ('annotations.1.keypoints.4', '3', 'not a list of finite numbers'),
        ('annotations.1.keypoints.5', -1, 'visibility is not 0'),
        ('annotations.1.keypoints.5', 3, 'visibility is not 0'),
        ('annotations.1.bbox', [1, 2, 3], '`bbox` must be'),
        ('annotations.1.bbox.2', float('inf'), '`bbox` is not a list of finite numbers'),
        ('annotations.1.bbox.2', -5, 'negative width'),
        ('annotations.1.bbox.2', 0, 'has no area, as in 1 of 3'),
        ('annotations.1.area', None, '`area` is None'),
        ('annotations.1.area', float('nan'), '`area` is nan, not a number from 0'),
        ('images.1.file_name', 7, '`file_name` is 7, but must be text'),
        ('images.1.width', 0, '`width` is 0, not a positive number'),
        ('images.1.id', 10**30, '`id` is 10+.*, but must be an integer'),
        ('categories', 5, '`categories` is a int'),
    ],
)
def test_a_wrong_entry_is_named(config, drawn, path, value, reason):
    cfg, write = config
    write(changed(drawn[1], path, value))
    with pytest.raises(UserError, match=rf'own.json.*{reason}'):
        check_data(cfg, 'train')


@pytest.mark.parametrize('content', [b'\xff\xfe{}', b'', b'{"a": 1', b'[' + b'9' * 5000 + b']'])
def test_a_file_that_is_not_json_is_named(config, content):
    cfg, write = config
    write(content)
    with pytest.raises(UserError, match='own.json is not (UTF-8|complete JSON)'):
        check_data(cfg, 'train')


@pytest.mark.parametrize('content', [None, [], 3, 'text', b'[' * 100_000])
def test_json_of_another_shape_is_refused(config, content):
    cfg, write = config
    write(content)
    with pytest.raises(UserError, match='own.json (holds|is nested)'):
        check_data(cfg, 'train')


@pytest.mark.parametrize('kind', ['images', 'annotations'])
def test_ids_that_are_used_twice_are_named(config, drawn, kind):
    cfg, write = config
    write(changed(drawn[1], f'{kind}.1.id', drawn[1][kind][0]['id']))
    with pytest.raises(UserError, match='is used 2 times'):
        check_data(cfg, 'train')


def test_persons_without_keypoints_crowds_and_extra_fields_are_valid(config, drawn):
    cfg, write = config
    content = copy.deepcopy(drawn[1])
    content['annotations'][0] |= dict(iscrowd=1, bbox=[0, 0, 0, 0], segmentation=None, mine='x')
    content['annotations'][1] |= dict(num_keypoints=0, keypoints=[0] * 51)
    write(content)
    check_data(cfg, 'train', 'val')
    for annotation in content['annotations']:
        annotation['num_keypoints'] = 0
    write(content)
    with pytest.raises(UserError, match='has no person with a box, labeled keypoints'):
        check_data(cfg, 'train')


@pytest.mark.parametrize('field', ['area', 'iscrowd'])
def test_what_only_the_evaluation_needs_is_checked_before_training(config, drawn, field):
    cfg, write = config
    write(changed(drawn[1], f'annotations.1.{field}', DELETE))
    check_data(cfg, 'train')
    with pytest.raises(UserError, match=rf'`{field}` is missing, which CocoMetric needs'):
        check_data(cfg, 'train', 'val')
    cfg.val_evaluator.metric.use_area = False
    if field == 'area':
        check_data(cfg, 'train', 'val')


def test_a_metric_with_its_own_file_needs_keypoints_in_every_annotation(config, drawn):
    cfg, write = config
    write(changed(drawn[1], 'annotations.1.keypoints', DELETE))
    check_data(cfg, 'train')
    assert cfg.val_evaluator.metric.ann_file
    with pytest.raises(UserError, match='annotation .*`keypoints` is missing, which CocoMetric'):
        check_data(cfg, 'train', 'val')
    del cfg.val_evaluator.metric['ann_file']
    check_data(cfg, 'train', 'val')


@pytest.mark.parametrize(
    ('path', 'value', 'reason'),
    [
        ('categories', DELETE, 'has no categories, which CocoMetric needs'),
        ('categories', [], 'has no categories, which CocoMetric needs'),
        ('categories.0.id', 2, 'annotation 1.*: `category_id` 1 is not in `categories`'),
    ],
)
def test_a_metric_needs_the_categories_of_all_annotations(config, drawn, path, value, reason):
    cfg, write = config
    write(changed(drawn[1], path, value))
    check_data(cfg, 'train')
    with pytest.raises(UserError, match=reason):
        check_data(cfg, 'train', 'val')


@pytest.mark.parametrize('sigmas', [[], [0.1] * 3, [0.0] * 17])
def test_wrong_sigmas_are_refused_where_they_are_needed(config, sigmas):
    cfg, _ = config
    info = dict(name='', color=[0, 0, 0], type='', swap='')
    cfg.val_dataloader.dataset.metainfo = dict(
        dataset_name='own', joint_weights=[1.0] * 17, sigmas=sigmas, skeleton_info={},
        keypoint_info={i: dict(info, id=i, name=f'point{i}') for i in range(17)},
    )  # fmt: skip
    with pytest.raises(UserError, match='sigmas for 17 keypoints.*use sigmas='):
        check_data(cfg, 'val')


@pytest.mark.parametrize('keys', [(0, 2, 1), ('0', '1', '2'), (1, 2, 3)])
def test_keypoints_without_their_numbers_are_refused(config, keys):
    """mmpose would swap other keypoints of mirrored images than the config says."""
    cfg, _ = config
    info = dict(color=[0, 0, 0], type='', swap='')
    cfg.val_dataloader.dataset.metainfo = dict(
        dataset_name='own', joint_weights=[1.0] * 3, sigmas=[0.1] * 3, skeleton_info={},
        keypoint_info={i: dict(info, id=i, name=f'point{i}') for i in keys},
    )  # fmt: skip
    with pytest.raises(UserError, match='must be the numbers 0 to 2 in this order'):
        check_data(cfg, 'val')


BOX = dict(image_id=1, category_id=1, bbox=[1, 2, 3, 4], score=0.5)


def with_boxes(config, content, tmp_path):
    cfg, _ = config
    file = tmp_path / 'boxes.json'
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    cfg.val_dataloader.dataset.bbox_file = str(file)
    check_datasets(cfg, 'val')


def test_detected_boxes_pass(config, tmp_path):
    car = dict(image_id=None, category_id=3)  # mmpose passes over it
    with_boxes(config, [BOX, dict(BOX, score=1, extra='x'), car], tmp_path)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'\x80\x04', 'is not UTF-8 text'),
        (b'[{}', 'is not complete JSON'),
        ({}, 'holds a dict, but detected boxes are a list'),
        ([BOX, 3], 'entry 1 of `boxes` is 3'),
        *(
            ([BOX, dict(BOX, **{name: value})], f'box 1.*{reason}')
            for name, value, reason in (
                ('category_id', 'x', '`category_id` is'),
                ('image_id', None, '`image_id` is None'),
                ('image_id', 99, 'has no such image'),
                ('bbox', [1, 2], 'must be .x, y, width, height'),
                ('bbox', [1, 2, 3, 'x'], '`bbox` is not a list of finite numbers'),
                ('score', None, '`score` is None'),
                ('score', float('nan'), '`score` is nan'),
            )
        ),
    ],
)
def test_wrong_detected_boxes_are_named(config, content, reason, tmp_path):
    with pytest.raises(UserError, match=f'boxes.json.*{reason}'):
        with_boxes(config, content, tmp_path)


def test_a_head_with_another_number_of_keypoints_is_refused(config):
    cfg, _ = config
    cfg.model.head.out_channels = 5
    with pytest.raises(UserError, match='out_channels=5, but .* gives 17 keypoints'):
        check_data(cfg, 'train')
    convert = dict(type='KeypointConverter', num_keypoints=5, mapping=[(0, 0)])
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='CombinedDataset', datasets=[dict(inner, pipeline=[convert])], pipeline=[]
    )
    check_data(cfg, 'train')


def test_bad_pictures_are_named_all_at_once(tmp_path):
    good = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for name, image in (('good.png', good), ('wide.png', np.zeros((2, 33_000, 3), np.uint8))):
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / 'text.jpg').write_text('text')
    (tmp_path / 'empty.jpg').write_text('')
    (tmp_path / 'half.png').write_bytes((tmp_path / 'good.png').read_bytes()[:40])
    names = ['good.png', 'wide.png', 'text.jpg', 'empty.jpg', 'half.png', 'none.jpg', '\0']
    paths = [str(tmp_path / name) for name in names]
    with pytest.raises(UserError, match='3 of 7 .*empty.jpg is empty.*none.jpg does not exist'):
        check_pictures(paths)
    with pytest.raises(UserError, match='6 of 7 .*33000x2 pixels.*text.jpg cannot be.*and 1 more'):
        check_pictures(paths, decode=True)
    check_pictures(paths[:1], decode=True, progress=True)


def test_the_pictures_of_a_small_dataset_are_decoded(config, drawn):
    cfg, write = config
    content = copy.deepcopy(drawn[1])
    (drawn[0] / 'train2017' / 'bad.jpg').write_text('text')
    content['images'][0]['file_name'] = 'bad.jpg'
    write(content)
    with pytest.raises(UserError, match='1 of 3 pictures cannot be used: .*bad.jpg cannot be'):
        check_datasets(cfg, 'train')
    check_datasets(cfg, 'train', decode=False)


def test_persons_of_mpii_are_checked(tmp_path):
    person = dict(
        image='015601864.png', center=[30, 30], scale=0.3, joints=[[1.0, 2.0]] * 16,
        joints_vis=[1] * 16,
    )  # fmt: skip
    cv2.imwrite(str(tmp_path / person['image']), np.zeros((64, 64, 3), np.uint8))
    file = tmp_path / 'mpii.json'
    dataset = dict(type='MpiiDataset', ann_file=str(file), data_prefix=dict(img=f'{tmp_path}/'))
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    file.write_text(json.dumps([person, person]))
    check_data(cfg, 'train')
    for field, value, reason in (
        ('joints', [[1, 2]] * 15, '`joints` has 30 numbers, but 32'),
        ('joints', None, '`joints` must be'),
        ('joints_vis', [float('nan')] * 16, '`joints_vis` is not a list of finite'),
        ('center', 4, '`center` is not a list'),
        ('scale', 0, '`scale` is 0'),
        ('image', 'a.jpg', '`image` must be a number'),
    ):
        file.write_text(json.dumps([person, person | {field: value}]))
        with pytest.raises(UserError, match=rf'mpii.json: person 1: {reason}'):
            check_data(cfg, 'train')


def test_large_files_are_checked_in_a_few_seconds(drawn, tmp_path):
    content = copy.deepcopy(drawn[1])
    first = content['annotations'][0]
    content['annotations'] = [dict(first, id=index + 1) for index in range(20_000)]
    start = time.process_time()
    check_coco('large.json', content, CocoLayout(17, True, ('area', 'iscrowd')))
    assert time.process_time() - start < 2


def test_a_file_is_read_as_utf_8(tmp_path):
    (tmp_path / 'a.json').write_text('{"name": "Käthe"}', encoding='utf-8')
    assert read_json(tmp_path / 'a.json') == {'name': 'Käthe'}


REAL = {
    'coco': (
        'CocoDataset',
        'coco_mini',
        ANNOTATIONS.format('train'),
        'train2017',
    ),
    'coco val': (
        'CocoDataset',
        'coco_mini',
        ANNOTATIONS.format('val'),
        'val2017',
    ),
    'lspet': ('MpiiDataset', 'lspet', 'annotations/mpii_train.json', 'images'),
    'lspet val': ('MpiiDataset', 'lspet', 'annotations/mpii_val.json', 'images'),
    'coco sample': ('CocoDataset', 'mmpose_samples/coco', 'test_coco.json', ''),
    'whole body': ('CocoWholeBodyDataset', 'mmpose_samples/coco', 'test_coco_wholebody.json', ''),
    'mpii': ('MpiiDataset', 'mmpose_samples/mpii', 'test_mpii.json', ''),
    'trb': ('MpiiTrbDataset', 'mmpose_samples/mpii', 'test_mpii_trb.json', ''),
    'jhmdb': ('JhmdbDataset', 'mmpose_samples/jhmdb', 'test_jhmdb_sub1.json', ''),
    'posetrack': (
        'PoseTrack18Dataset',
        'mmpose_samples/posetrack18',
        'annotations/test_posetrack18_val.json',
        '',
    ),
    'mouse': (17, 'mirror_mouse', 'train.json', 'images'),
    'mouse val': (17, 'mirror_mouse', 'val.json', 'images'),
    'flies': (13, 'fly_pair', 'annotations.json', ''),
}


@pytest.mark.parametrize('name', REAL)
def test_real_data_pass(name):
    kind, folder, file, pictures = REAL[name]
    root = os.environ.get('OKDHP_DATA', '../shared/data')
    if not os.path.isdir(root):
        pytest.skip('set OKDHP_DATA to the folder of the shared data')
    own = {}
    if isinstance(kind, int):
        keypoints = {
            i: dict(name=f'p{i}', id=i, color=[0, 0, 0], type='', swap='') for i in range(kind)
        }
        own['metainfo'] = dict(
            dataset_name='own', keypoint_info=keypoints, skeleton_info={},
            joint_weights=[1.0] * kind, sigmas=[0.05] * kind)  # fmt: skip
    dataset = dict(
        type=kind if isinstance(kind, str) else 'CocoDataset',
        data_root=f'{root}/{folder}/',
        ann_file=file,
        data_prefix=dict(img=pictures),
        **own,
    )
    cfg = Config(dict(val_dataloader=dict(dataset=dataset)))
    if 'coco' in name or own:
        cfg.val_evaluator = dict(type='CocoMetric')
    check_datasets(cfg, 'val')
