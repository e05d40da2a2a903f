"""Any teacher by ``--teacher``: networks, foreign models, files of pseudo-labels."""

import copy
import json
import shutil

import pytest
import torch
from common import build, resnet, stock_model
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from students import DEMO, write_student

from okdhp_mm.data.unlabeled import mix_unlabeled
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.recipes.teachers import student_keypoints, use_teacher
from okdhp_mm.student.config import dataset_meta, student_config

TRAIN, VAL = 6, 2


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('coco')
    write_coco(folder, 'train', TRAIN, 0)
    write_coco(folder, 'val', VAL, 0)
    return folder


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    return write_student(tmp_path_factory.mktemp('student'))


@pytest.fixture
def cfg(data, tmp_path):
    cfg = Config.fromfile(DEMO)
    cfg.work_dir = str(tmp_path / 'run')
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(
            data_root=str(data),
            ann_file=f'annotations/person_keypoints_{split}2017.json',
            data_prefix=dict(img=f'{split}2017/'),
        )
    cfg.test_dataloader = None
    cfg.val_evaluator = cfg.test_evaluator = None
    return cfg


def labels(data, split='train', **changes):
    """The annotations of a split, as if another model had found them."""
    file = data / 'annotations' / f'person_keypoints_{split}2017.json'
    content = json.loads(file.read_text())
    content['info'] = dict(images=str(data / f'{split}2017'))
    for entry in content['annotations']:
        entry['keypoint_scores'] = [0.5] * 17
    return content | changes


def write(folder, content):
    file = folder / 'labels.json'
    file.write_text(json.dumps(content))
    return [str(file)]


def first_step(cfg, count=2):
    """Losses of the first samples, as the runner computes them."""
    dataset = DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset))
    model = build(cfg.model)
    model.load_teacher()
    data = pseudo_collate([dataset[index] for index in range(count)])
    data = model.data_preprocessor(data, training=True)
    return dataset, data, model.train()(**data, mode='loss')


def test_pseudo_labels_of_training_persons_teach_next_to_the_labels(cfg, data, tmp_path):
    sentence = use_teacher(cfg, write(tmp_path, labels(data)), {})
    assert f'17 of 17 keypoints; {TRAIN} of {TRAIN} training persons' in sentence
    dataset, batch, losses = first_step(cfg)
    assert len(dataset) == TRAIN
    assert {'loss_kpt', 'loss_ens', 'loss_kd', 'loss_teacher'} <= losses.keys()
    assert losses['loss_teacher'] > 0
    for sample in batch['data_samples']:
        # They are the labels, at half the weight.
        own, pseudo = sample.gt_instance_labels, sample.pseudo_labels.gt_instance_labels
        assert torch.allclose(pseudo.keypoint_weights, own.keypoint_weights / 2)
        assert torch.equal(sample.gt_fields.heatmaps, sample.pseudo_labels.gt_fields.heatmaps)


def test_keypoints_that_a_file_lacks_are_masked_and_others_renamed(cfg, data, tmp_path):
    content = labels(data)
    for entry in content['annotations']:
        entry['keypoints'], entry['keypoint_scores'] = entry['keypoints'][15:21], [0.5, 0.5]
        entry['num_keypoints'] = 2
    content['categories'][0].update(keypoints=['left_arm', 'right_shoulder'], skeleton=[])
    sentence = use_teacher(cfg, write(tmp_path, content), dict(left_shoulder='left_arm'))
    assert '2 of 17 keypoints' in sentence
    _, batch, _ = first_step(cfg)
    for sample in batch['data_samples']:
        weights = sample.pseudo_labels.gt_instance_labels.keypoint_weights
        assert not weights[0, [0, 1, 2, 3, 4, *range(7, 17)]].any()
        assert torch.equal(
            weights[0, 5:7] > 0, sample.gt_instance_labels.keypoint_weights[0, 5:7] > 0
        )


def test_persons_in_other_pictures_join_the_training(cfg, data, tmp_path):
    other = tmp_path / 'other'
    write_coco(other, 'train', 2 * TRAIN, 1)
    content = labels(other)
    sentence = use_teacher(cfg, write(tmp_path, content), {})
    assert f'{2 * TRAIN} persons in other pictures join the training' in sentence
    assert cfg.model.get('teacher') is None
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset.lens == [TRAIN, TRAIN]
    paths = [dataset.get_data_info(index)['img_path'] for index in range(2 * TRAIN)]
    assert all(path.startswith(str(data)) for path in paths[:TRAIN])
    assert all(path.startswith(str(other)) for path in paths[TRAIN:])
    _, _, losses = first_step(cfg, 2 * TRAIN)
    assert losses['loss_kpt'] > 0


def test_pictures_of_the_validation_are_left_out(cfg, data, tmp_path):
    both = labels(data)
    val = labels(data, 'val')
    for image in val['images']:
        image.update(id=image['id'] + 100, file_name=f'../val2017/{image["file_name"]}')
    for entry in val['annotations']:
        entry.update(id=entry['id'] + 100, image_id=entry['image_id'] + 100)
    both['images'] += val['images']
    both['annotations'] += val['annotations']
    sentence = use_teacher(cfg, write(tmp_path, both), {})
    assert sentence.endswith(
        f'{VAL} persons are left out, in pictures of the validation or test data, or in copies of '
        'these or of labeled pictures.'
    )
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == TRAIN
    with pytest.raises(UserError, match=r'none is a training person .* \(2 left out\)'):
        use_teacher(cfg, write(tmp_path, labels(data, 'val')), {})


def test_copies_of_pictures_in_use_are_left_out(cfg, data, tmp_path):
    other = tmp_path / 'other'
    write_coco(other, 'train', 4, 1)
    used = [*sorted((data / 'train2017').iterdir())[:2], *sorted((data / 'val2017').iterdir())[:1]]
    targets = sorted((other / 'train2017').iterdir())
    for source, target in zip(used, targets, strict=False):
        shutil.copy(source, target)
    sentence = use_teacher(cfg, write(tmp_path, labels(other)), {})
    assert '1 persons in other pictures join the training' in sentence
    assert '3 persons are left out' in sentence
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset.get_data_info(TRAIN)['img_path'] == str(targets[3])


def test_a_config_that_a_training_wrote_gets_its_labels_once(cfg, data, tmp_path):
    other = tmp_path / 'other'
    write_coco(other, 'train', TRAIN, 1)
    both = labels(other)
    own = labels(data)
    for image in own['images']:
        image.update(id=image['id'] + 100, file_name=str(data / 'train2017' / image['file_name']))
    for entry in own['annotations']:
        entry.update(id=entry['id'] + 100, image_id=entry['image_id'] + 100)
    both['images'] += own['images']
    both['annotations'] += own['annotations']
    file = write(tmp_path, both)
    sentence = use_teacher(cfg, file, {})
    assert f'{TRAIN} of {TRAIN} training persons have pseudo-labels' in sentence
    assert f'{TRAIN} persons in other pictures join' in sentence
    once = copy.deepcopy(cfg.train_dataloader.dataset)
    assert use_teacher(cfg, file, {}) == sentence
    assert cfg.train_dataloader.dataset == once


def test_a_config_that_learns_from_labels_of_training_persons_needs_such(cfg, data, tmp_path):
    use_teacher(cfg, write(tmp_path, labels(data)), {})
    other = tmp_path / 'other'
    write_coco(other, 'train', TRAIN, 1)
    with pytest.raises(UserError, match='has none of them. Start from the config before'):
        use_teacher(cfg, write(tmp_path, labels(other)), {})


def test_data_without_names_of_keypoints_are_told():
    dataset = dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset'))
    with pytest.raises(UserError, match='does not name its keypoints. Set its `metainfo`'):
        dataset_meta(Config(dict(train_dataloader=dict(dataset=dataset))), {})


def test_the_names_of_keypoints_are_found_inside_a_wrapper(cfg, data, tmp_path):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=inner)
    assert len(student_keypoints(cfg)) == 17
    other = tmp_path / 'other'
    write_coco(other, 'train', TRAIN, 1)
    with pytest.raises(UserError, match="'RepeatDataset' cannot take the persons of other pict"):
        use_teacher(cfg, write(tmp_path, labels(other)), {})


def test_the_exported_config_is_stock_again(cfg, data, tmp_path):
    stock = student_config(cfg, 0)
    use_teacher(cfg, write(tmp_path, labels(data)), {})
    taught = student_config(cfg, 0)
    assert taught.train_dataloader.to_dict() == stock.train_dataloader.to_dict()


def test_a_foreign_model_labels_the_training_persons_once(cfg, data, student, tmp_path):
    pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")
    from okdhp_mm.deploy.onnx.export import export_onnx

    folder = tmp_path / 'exported'
    shutil.copytree(student, folder)
    export_onnx(folder)
    names = labels(data)['categories'][0]['keypoints']
    adapter = dict(keypoint_names=names, output='heatmaps', input_size=[64, 96])
    (folder / 'student.json').write_text(json.dumps(adapter))
    before = copy.deepcopy(cfg)
    sentence = use_teacher(cfg, [str(folder / 'student.onnx')], {})
    assert f'{TRAIN} of {TRAIN} training persons have pseudo-labels' in sentence
    file = tmp_path / 'run' / 'teacher' / 'pseudo_labels.json'
    assert len(json.loads(file.read_text())['annotations']) == TRAIN
    assert file.with_name('contact_sheet.jpg').is_file()
    written = file.stat().st_mtime_ns
    use_teacher(copy.deepcopy(before), [str(folder / 'student.onnx')], {})
    assert file.stat().st_mtime_ns == written
    adapter['padding'] = 1.5
    (folder / 'student.json').write_text(json.dumps(adapter))
    several = copy.deepcopy(before)
    several.launcher = 'pytorch'
    with pytest.raises(UserError, match='Label them by `python -m okdhp_mm pseudo-label`'):
        use_teacher(several, [str(folder / 'student.onnx')], {})


def test_a_students_folder_is_a_network_that_teaches(cfg, student):
    sentence = use_teacher(cfg, [str(student)], {})
    assert '17 of 17 keypoints' in sentence
    assert cfg.model.teacher.config == str(student / 'student.py')
    assert cfg.model.teacher.get('keypoints') is None
    model = build(cfg.model)
    model.load_teacher()
    assert model.teacher.network is not None
    assert model.head.distiller.terms['loss_teacher'].teacher == 'frozen'


def test_a_network_without_names_must_have_the_same_keypoints(cfg, tmp_path):
    config = stock_model('resnet', backbone=resnet())
    Config(dict(model=config)).dump(tmp_path / 'teacher.py')
    torch.save(dict(state_dict=build(config).state_dict(), meta={}), tmp_path / 'teacher.pth')
    files = [str(tmp_path / 'teacher.py'), str(tmp_path / 'teacher.pth')]
    use_teacher(cfg, files, {})
    assert cfg.model.teacher.checkpoint == files[1]
    with pytest.raises(UserError, match='names the keypoints of the network'):
        use_teacher(cfg, files, dict(nose='snout'))


def test_an_offline_method_learns_from_the_given_teacher(cfg, data, student, tmp_path):
    from okdhp_mm.recipes.methods import apply_method

    apply_method(cfg.model, 'fpd')
    use_teacher(cfg, [str(student)], {})
    terms = cfg.model.distiller.terms
    assert set(terms) == {'loss_kpt', 'loss_kd'}
    assert cfg.model.teacher.checkpoint == str(student / 'student.pth')
    use_teacher(cfg, write(tmp_path, labels(data)), {})
    assert terms.loss_kd.teacher == 'pseudo_labels'
    _, _, losses = first_step(cfg)
    assert losses['loss_kd'] > 0


def test_the_weight_of_its_term_can_be_set(cfg, student):
    cfg.merge_from_dict({'model.distiller.terms.loss_teacher.loss_weight': 0.25})
    use_teacher(cfg, [str(student)], {})
    assert build(cfg.model).head.distiller.terms['loss_teacher'].loss_weight == 0.25


@pytest.mark.parametrize(
    'files, match',
    [
        (['model.pt'], r'--teacher model\.pt is not a teacher\. Give CONFIG\.py'),
        (['nowhere.json'], r'nowhere\.json cannot be read'),
        (['nowhere.onnx'], r'nowhere\.onnx does not exist'),
        (['a.py', 'b.pth'], r'config a\.py does not exist'),
    ],
)
def test_something_else_is_refused(cfg, files, match):
    with pytest.raises(UserError, match=match):
        use_teacher(cfg, files, {})


def test_other_keypoints_are_refused_before_the_training(cfg, data, tmp_path):
    content = labels(data)
    content['categories'][0]['keypoints'] = [f'point{index}' for index in range(17)]
    files = write(tmp_path, content)
    with pytest.raises(UserError, match='has none of the keypoints of the student by name'):
        use_teacher(cfg, files, {})
    with pytest.raises(UserError, match="has no keypoint 'snout'"):
        use_teacher(cfg, files, dict(nose='snout'))


@pytest.mark.parametrize('files', [['x.onnx'], ['student'], ['a.py', 'b.pth']])
def test_a_stock_model_cannot_have_a_network_as_its_teacher(cfg, files):
    cfg.model.type = 'TopdownPoseEstimator'
    with pytest.raises(UserError, match='cannot teach model.type'):
        use_teacher(cfg, files, {})


def test_a_stock_model_learns_from_pseudo_labels_of_other_pictures_only(cfg, data, tmp_path):
    student = student_config(cfg, 0)
    student.work_dir = str(tmp_path / 'work')
    with pytest.raises(UserError, match=r'none is in a picture that differs'):
        use_teacher(student, write(tmp_path, labels(data)), {})
    other = tmp_path / 'other'
    write_coco(other, 'train', 2 * TRAIN, 1)
    both = labels(other)
    own = labels(data)
    both['images'] += [
        image | dict(id=image['id'] + 100, file_name=str(data / 'train2017' / image['file_name']))
        for image in own['images']
    ]
    both['annotations'] += [
        entry | dict(id=entry['id'] + 100, image_id=entry['image_id'] + 100)
        for entry in own['annotations']
    ]
    sentence = use_teacher(student, write(tmp_path, both), {})
    assert f'{2 * TRAIN} persons in other pictures join the training' in sentence
    assert 'have pseudo-labels' not in sentence
    dataset = DATASETS.build(copy.deepcopy(student.train_dataloader.dataset))
    assert dataset.lens == [TRAIN, TRAIN]
    model = build(student.model)
    sample = pseudo_collate([dataset[index] for index in (0, 2 * TRAIN - 1)])
    assert model.train()(**model.data_preprocessor(sample, True), mode='loss')['loss_kpt'] > 0


def test_persons_without_a_keypoint_to_learn_are_left_out(cfg, data, tmp_path):
    student = student_config(cfg, 0)
    student.work_dir = str(tmp_path / 'work')
    other = tmp_path / 'other'
    write_coco(other, 'train', TRAIN, 1)
    content = labels(other)
    content['categories'][0]['keypoints'][1:] = [f'point{index}' for index in range(16)]
    for entry in content['annotations'][1:]:
        entry['keypoints'][:3] = 0, 0, 0
    content['annotations'][0]['keypoints'][2] = 2
    sentence = use_teacher(copy.deepcopy(student), write(tmp_path, content), {})
    assert '1 persons in other pictures join the training, of which each epoch takes 1' in sentence
    assert f'{TRAIN - 1} persons without a sure keypoint are left out' in sentence
    content['annotations'][0]['keypoints'][2] = 0
    with pytest.raises(UserError, match=f'{TRAIN} persons, but none with a keypoint whose score'):
        use_teacher(student, write(tmp_path, content), {})


def test_a_pipeline_without_targets_is_refused(cfg, data, tmp_path):
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step.type != 'GenerateTarget']
    with pytest.raises(UserError, match='no pipeline with GenerateTarget'):
        use_teacher(cfg, write(tmp_path, labels(data)), {})


def test_unlabeled_persons_do_not_get_pseudo_labels(cfg, data, tmp_path):
    use_teacher(cfg, write(tmp_path, labels(data)), {})
    mix_unlabeled(cfg, data / 'annotations' / 'person_keypoints_val2017.json', data / 'val2017')
    labeled, unlabeled = cfg.train_dataloader.dataset.datasets
    assert labeled.pipeline[-1].type == 'WithPseudoLabels'
    assert [step.type for step in unlabeled.pipeline][-3:] == [
        *('TopdownAffine', 'GenerateTarget', 'PackPoseInputs'),
    ]
