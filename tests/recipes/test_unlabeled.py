"""Unlabeled images of a folder, a video or an annotation file, in a config and in a training."""

import argparse
import copy
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from common import CODEC, okdhp_model
from graphs import DETS, LABELS, write_graph
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from students import write_student
from test_every_method import losses_of_a_run

from okdhp_mm.cli.start import add_start_arguments, choose_teaching
from okdhp_mm.data.files import check_data
from okdhp_mm.data.unlabeled import is_mixed, train_on_labeled
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.deploy.inference.detectors import build_detector
from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.deploy.inference.sources import open_source
from okdhp_mm.deploy.inference.unlabeled import fingerprint_of
from okdhp_mm.errors import UserError
from okdhp_mm.recipes.methods import apply_method, apply_method_to_config
from okdhp_mm.student.config import student_config
from okdhp_mm.terminal.overview import describe_data

PERSONS, OTHERS = 4, 5
PIPELINE = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=CODEC['input_size']),
    dict(type='GenerateTarget', encoder=CODEC),
    dict(type='PackPoseInputs'),
]


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Labeled figures, those to validate on, and a folder of others."""
    root = tmp_path_factory.mktemp('drawn')
    write_coco(root, 'train', PERSONS + OTHERS, seed=0)
    write_coco(root, 'val', 2, seed=0)
    file = root / 'annotations' / 'person_keypoints_train2017.json'
    content = json.loads(file.read_text())
    (root / 'others').mkdir()
    for image in content['images'][PERSONS:]:
        shutil.copy(root / 'train2017' / image['file_name'], root / 'others')
    others = dict(content, images=content['images'][PERSONS:])
    others['annotations'] = [
        {key: entry[key] for key in ('id', 'image_id', 'category_id', 'bbox')}
        for entry in content['annotations'][PERSONS:]
    ]
    (root / 'others.json').write_text(json.dumps(others))
    content['images'] = content['images'][:PERSONS]
    content['annotations'] = content['annotations'][:PERSONS]
    file.write_text(json.dumps(content))
    return root


def config_of(root, work_dir, method='okdhp_short'):
    def loader(split):
        return dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dict(
                type='CocoDataset',
                ann_file=str(root / 'annotations' / f'person_keypoints_{split}2017.json'),
                data_prefix=dict(img=f'{root / f"{split}2017"}/'),
                pipeline=copy.deepcopy(PIPELINE),
            ),
        )

    cfg = dict(model=okdhp_model('resnet'), work_dir=str(work_dir))
    cfg |= dict(train_dataloader=loader('train'), val_dataloader=loader('val'))
    cfg = Config(cfg)
    apply_method_to_config(cfg, method)
    return cfg


def use(cfg, *arguments):
    parser = argparse.ArgumentParser()
    add_start_arguments(parser)
    choose_teaching(cfg, parser.parse_args(list(map(str, arguments))))
    return cfg


def unlabeled_of(cfg):
    return json.loads(open(cfg.train_dataloader.dataset.datasets[1].ann_file).read())


# ------------------------------------------------------------------------------------- sources


def test_a_folder_is_one_person_per_picture(drawn, tmp_path):
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others')
    check_data(cfg, 'train')
    content = unlabeled_of(cfg)
    assert len(content['images']) == len(content['annotations']) == OTHERS
    for image, person in zip(content['images'], content['annotations'], strict=True):
        assert person['bbox'] == [0, 0, image['width'], image['height']]
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(data) == PERSONS + OTHERS
    assert (
        describe_data(data)
        == f'{PERSONS} persons in {PERSONS} pictures and {OTHERS} unlabeled persons'
    )
    labeled, unlabeled = data[0]['data_samples'], data[PERSONS]['data_samples']
    assert not labeled.get('unlabeled', False)
    assert unlabeled.unlabeled
    assert (unlabeled.gt_instance_labels.keypoint_weights == 0).all()
    assert (unlabeled.gt_fields.heatmaps == 0).all()
    assert (data[PERSONS]['inputs'] != 0).any()


def test_boxes_choose_persons_and_leave_out_pictures(drawn, tmp_path):
    names = sorted(path.name for path in (drawn / 'others').iterdir())
    boxes = {names[0]: [[1, 2, 30, 40], [5, 5, 20, 20]], names[1]: []}
    file = tmp_path / 'boxes.json'
    file.write_text(json.dumps(boxes))
    cfg = config_of(drawn, tmp_path)
    use(cfg, '--unlabeled', drawn / 'others', '--boxes', file)
    found = unlabeled_of(cfg)['annotations']
    assert [entry['bbox'] for entry in found[:2]] == [[1, 2, 29, 38], [5, 5, 15, 15]]
    assert len(found) == 2 + OTHERS - 2


def test_a_video_gives_frames(drawn, tmp_path):
    film = cv2.VideoWriter(
        str(tmp_path / 'film.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48)
    )
    for shade in range(0, 60, 10):
        film.write(torch.full((48, 64, 3), shade, dtype=torch.uint8).numpy())
    film.release()
    cfg = use(config_of(drawn, tmp_path / 'run'), '--unlabeled', tmp_path / 'film.avi')
    check_data(cfg, 'train')
    content = unlabeled_of(cfg)
    assert len(content['images']) == 6
    assert {(image['width'], image['height']) for image in content['images']} == {(64, 48)}
    assert len(list((tmp_path / 'run' / 'unlabeled').glob('*.jpg'))) == 6


def test_the_same_pictures_are_not_read_twice(drawn, tmp_path):
    folder, boxes, run = tmp_path / 'others', tmp_path / 'boxes.json', tmp_path / 'run'
    shutil.copytree(drawn / 'others', folder)
    name = min(path.name for path in folder.iterdir())
    boxes.write_text(json.dumps({name: [[0, 0, 30, 40]]}))

    def written():
        use(config_of(drawn, run), '--unlabeled', folder, '--boxes', boxes)
        return (run / 'unlabeled.json').stat().st_ino

    first = written()
    assert written() == first
    boxes.write_text(json.dumps({name: [[0, 0, 30, 40], [5, 5, 30, 40]]}))
    second = written()
    assert second != first
    shutil.copy(folder / name, folder / 'new.jpg')
    third = written()
    assert third != second
    (folder / 'new.jpg').unlink()
    assert written() != third


def test_an_annotation_file_needs_no_keypoints(drawn, tmp_path):
    # Its pictures are found in the folder of the labeled ones.
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others.json')
    check_data(cfg, 'train')
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(data) == PERSONS + OTHERS
    person = json.loads((drawn / 'others.json').read_text())['annotations'][0]
    assert data.get_data_info(PERSONS)['bbox'][0, :2].tolist() == person['bbox'][:2]


# --------------------------------------------------------------------------------------- config


def test_a_config_keeps_its_method_and_gets_what_unlabeled_images_need(drawn, tmp_path):
    cfg = config_of(drawn, tmp_path)
    before = copy.deepcopy(cfg.model.to_dict())
    use(cfg, '--unlabeled', drawn / 'others', '--unlabeled-ratio', '1.5')
    model = cfg.model.to_dict()
    terms = model['distiller']['terms']
    assert terms.pop('loss_unlabeled')['type'] == 'UnlabeledTerm'
    assert model.pop('unlabeled')['teacher'] == 'ema'
    assert model.pop('ema')['momentum'] > 0
    assert model['test_cfg'].pop('ema')
    assert model == before
    loader = cfg.train_dataloader
    assert (loader.batch_size, tuple(loader.sampler.batch_size)) == (5, (2, 3))


def test_a_method_for_unlabeled_images_stays_as_it_is(drawn, tmp_path):
    cfg = config_of(drawn, tmp_path, 'pose_dual')
    before = copy.deepcopy(cfg.model)
    use(cfg, '--unlabeled', drawn / 'others')
    assert cfg.model == before
    assert cfg.method_name == 'pose_dual'


def test_pictures_are_mirrored_only_if_the_labeled_ones_are(drawn, tmp_path):
    cfg = config_of(drawn, tmp_path)
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[:] = [step for step in pipeline if step['type'] != 'RandomFlip']
    use(cfg, '--unlabeled', drawn / 'others')
    assert cfg.model.unlabeled.views.flip == 0
    cfg.model.unlabeled.views.flip = 0.3
    assert use(cfg, '--unlabeled', drawn / 'others').model.unlabeled.views.flip == 0.3


def test_the_view_of_the_teacher_is_easy(drawn, tmp_path):
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others')
    labeled, unlabeled = cfg.train_dataloader.dataset.datasets
    assert [step.type for step in labeled.pipeline if step not in unlabeled.pipeline] == [
        'RandomHalfBody'
    ]


def test_the_student_and_other_methods_train_on_labeled_images_again(drawn, tmp_path):
    plain = config_of(drawn, tmp_path)
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others')
    written = tmp_path / 'written.py'
    cfg.dump(written)
    cfg = Config.fromfile(written)
    assert is_mixed(cfg)
    student = student_config(cfg, 0)
    assert student.train_dataloader == student_config(plain, 0).train_dataloader
    assert 'unlabeled' not in str(student.to_dict()).lower().replace(str(drawn).lower(), '')
    apply_method_to_config(cfg, 'dml')
    assert cfg.train_dataloader == plain.train_dataloader
    train_on_labeled(cfg)
    assert cfg.train_dataloader == plain.train_dataloader, 'nothing to remove'


def test_the_learning_rate_is_scaled_by_the_labeled_persons(drawn, tmp_path):
    cfg = config_of(drawn, tmp_path)
    cfg.auto_scale_lr = dict(base_batch_size=512)
    use(cfg, '--unlabeled', drawn / 'others', '--unlabeled-ratio', '1.5')
    assert cfg.auto_scale_lr.base_batch_size == 512 * 5 // 2
    train_on_labeled(cfg)
    assert cfg.auto_scale_lr.base_batch_size == 512


# ----------------------------------------------------------------------------- labels of a teacher


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """A student that is sure of every keypoint."""
    folder = write_student(tmp_path_factory.mktemp('teacher'))
    checkpoint = torch.load(folder / 'student.pth')
    checkpoint['state_dict']['head.final_layer.bias'] += 1
    torch.save(checkpoint, folder / 'student.pth')
    return folder


def test_a_teacher_labels_the_pictures_for_a_student_alone(drawn, teacher, tmp_path, capsys):
    names = sorted(path.name for path in (drawn / 'others').iterdir())
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps({names[0]: [[1, 2, 30, 40], [5, 5, 20, 20]], names[1]: []}))
    cfg = student_config(config_of(drawn, tmp_path), 0)
    cfg.work_dir = str(tmp_path / 'run')
    before = copy.deepcopy(cfg)
    arguments = ['--unlabeled', drawn / 'others', '--boxes', boxes, '--teacher', teacher]
    use(cfg, *arguments)
    persons = 2 + OTHERS - 2
    assert f'labeled {persons} persons once' in capsys.readouterr().out
    file = tmp_path / 'run' / 'teacher' / 'pseudo_labels.json'
    found = json.loads(file.read_text())['annotations']
    assert [entry['bbox'] for entry in found[:2]] == [[1, 2, 29, 38], [5, 5, 15, 15]]
    assert len(found) == persons
    check_data(cfg, 'train', 'val')
    data = DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset))
    assert data.lens == [PERSONS, PERSONS], 'an epoch takes as many as have labels'
    weights = data[2 * PERSONS - 1]['data_samples'].gt_instance_labels.keypoint_weights
    assert (weights == 1).all()
    written = file.stat().st_mtime_ns
    use(again := copy.deepcopy(before), *arguments, '--unlabeled-ratio', '0.5')
    assert file.stat().st_mtime_ns == written, 'labeled once'
    data = DATASETS.build(copy.deepcopy(again.train_dataloader.dataset))
    assert data.lens == [PERSONS, PERSONS // 2]


def test_the_log_of_the_training_is_not_that_of_the_teacher(teacher):
    inferencer = TorchEngine(teacher).inferencer
    assert inferencer.visualizer.instance_name.startswith('inference'), 'not visualizer'


def test_a_teacher_labels_the_pictures_for_branches(drawn, teacher, tmp_path):
    cfg = config_of(drawn, tmp_path)
    before = copy.deepcopy(cfg.model)
    use(cfg, '--unlabeled', drawn / 'others.json', '--teacher', teacher)
    assert cfg.model == before
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
    cfg.train_dataloader.update(collate_fn=pseudo_collate)
    losses = losses_of_a_run(
        tmp_path / 'run', cfg.model, train_dataloader=cfg.train_dataloader.to_dict()
    )
    assert all(step['loss_kpt'] > 0 for step in losses.values())


def test_a_method_for_unlabeled_pictures_uses_them_without_labels(drawn, teacher, tmp_path):
    cfg = config_of(drawn, tmp_path, 'pose_dual')
    use(cfg, '--unlabeled', drawn / 'others', '--teacher', teacher)
    assert is_mixed(cfg)
    assert cfg.model.teacher.checkpoint == str(teacher / 'student.pth')


@pytest.mark.parametrize('method', ['fpd', 'head_only'])
def test_a_method_with_a_teacher_gets_it_and_the_pictures(drawn, teacher, tmp_path, method):
    cfg = config_of(drawn, tmp_path, method)
    use(cfg, '--unlabeled', drawn / 'others', '--teacher', teacher)
    assert is_mixed(cfg)
    assert cfg.model.teacher.checkpoint == str(teacher / 'student.pth')


def test_copies_of_pictures_in_use_do_not_join(drawn, teacher, tmp_path, capsys):
    copies = shutil.copytree(drawn / 'val2017', tmp_path / 'copies')
    arguments = ['--unlabeled', copies, '--teacher', teacher]
    with pytest.raises(UserError, match=r'none is in a picture that differs .*\(2 left out\)'):
        use(config_of(drawn, tmp_path), *arguments)
    shutil.copytree(drawn / 'others', copies, dirs_exist_ok=True)
    use(config_of(drawn, tmp_path), *arguments)
    assert f'{OTHERS} persons in other pictures join the training' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(arguments=['--teacher-keypoints', 'nose=beak']), "no keypoint 'beak'"),
        (dict(wrapper='RepeatDataset'), "'RepeatDataset' cannot take the persons"),
        (dict(lost=True), 'student.py'),
        (dict(launcher='pytorch'), 'takes one process'),
    ],
)
def test_a_teacher_is_checked_before_a_detector_runs(drawn, teacher, tmp_path, changes, message):
    cfg = config_of(drawn, tmp_path / 'run')
    if kind := changes.get('wrapper'):
        inner = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(type=kind, times=2, dataset=inner)
    cfg.launcher = changes.get('launcher', 'none')
    if changes.get('lost'):
        (teacher := tmp_path / 'lost').mkdir()
    detector = write_graph(tmp_path / 'rtmdet.onnx', dets=DETS, labels=LABELS)
    arguments = ['--unlabeled', drawn / 'others', '--detector', detector, '--teacher', teacher]
    with pytest.raises(UserError, match=message):
        use(cfg, *arguments, *changes.get('arguments', ()))
    assert not (tmp_path / 'run').exists(), 'nothing was detected or labeled'


def test_a_teacher_that_is_sure_of_nothing_is_refused(drawn, teacher, tmp_path):
    folder = shutil.copytree(teacher, tmp_path / 'unsure')
    checkpoint = torch.load(folder / 'student.pth')
    checkpoint['state_dict']['head.final_layer.bias'] -= 100
    torch.save(checkpoint, folder / 'student.pth')
    with pytest.raises(UserError, match='no person with a box, labeled keypoints and an image'):
        use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others', '--teacher', folder)


# ------------------------------------------------------------------------------------- training


def test_a_resumed_training_sees_the_same_batches(drawn, tmp_path):
    cfg = use(config_of(drawn, tmp_path, 'okdhp_unlabeled'), '--unlabeled', drawn / 'others')
    cfg.model.unlabeled.confidence = 0.0
    data = cfg.train_dataloader.to_dict() | dict(collate_fn=pseudo_collate)
    data['dataset']['datasets'][0]['pipeline'] = still(PIPELINE)
    data['dataset']['datasets'][1]['pipeline'] = still(PIPELINE)
    settings = dict(train_dataloader=data)
    settings['default_hooks'] = dict(
        checkpoint=dict(type='CheckpointHook', interval=1),
        distill=dict(type='DistillProgressHook'),
        sampler_seed=dict(type='DistSamplerSeedHook'),
    )
    whole = losses_of_a_run(tmp_path / 'whole', cfg.model, **copy.deepcopy(settings))
    resumed = losses_of_a_run(
        tmp_path / 'resumed',
        cfg.model,
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        resume=True,
        **settings,
    )
    assert list(whole) == [0, 1, 2, 3]
    assert list(resumed) == [2, 3]
    for step, losses in resumed.items():
        assert losses['loss_unlabeled'] > 0
        assert losses == pytest.approx(whole[step], rel=1e-4, abs=1e-9), f'step {step}'


def still(pipeline):
    """The transforms that draw no random numbers."""
    return [step for step in pipeline if not step['type'].startswith('Random')]


def test_other_weights_in_the_folder_of_a_detector_find_the_persons_anew(drawn, tmp_path):
    source = open_source(str(drawn / 'others'))
    (tmp_path / 'detector').mkdir()
    weights = tmp_path / 'detector' / 'a.onnx'
    seen = set()
    for content in (b'one', b'two!'):
        weights.write_bytes(content)
        seen.add(fingerprint_of(source, None, str(weights.parent)))
        seen.add(fingerprint_of(source, None, f'rtmdet:{weights}'))
    assert len(seen) == 4


def test_a_detector_finds_the_persons(drawn, tmp_path):
    detector = write_graph(tmp_path / 'rtmdet.onnx', dets=DETS, labels=LABELS)
    arguments = ['--unlabeled', drawn / 'others', '--detector', detector]
    use(config_of(drawn, tmp_path / 'run'), *arguments)
    content = json.loads((tmp_path / 'run' / 'unlabeled.json').read_text())
    find = build_detector(str(detector))
    for image in content['images']:
        found = find(cv2.imread(str(drawn / 'others' / image['file_name'])))[:, :4]
        found[:, 2:] -= found[:, :2]
        boxes = [e['bbox'] for e in content['annotations'] if e['image_id'] == image['id']]
        assert len(found) and np.allclose(boxes, found)


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--unlabeled', 'nowhere'], 'nowhere does not exist'),
        (['--unlabeled', 'empty'], 'empty is not a folder with pictures'),
        (['--unlabeled', 'broken'], 'None of the 1 pictures can be read'),
        (['--unlabeled', 'text.txt'], 'text.txt is neither a picture nor a video'),
        (['--unlabeled', 'nobody.json'], 'nobody.json has no person with a box and an image'),
        (['--unlabeled', 'lost.json'], 'The picture lost.jpg of .*lost.json is not in'),
        (['--unlabeled', 'classless.json'], '`category_id` is missing'),
        (['--unlabeled', 'half.json'], 'half.json is not complete JSON'),
        (['--unlabeled', 'others', '--boxes', 'no_boxes.json'], 'There are no persons in the 5'),
        (['--unlabeled', 'others', '--boxes', 'unknown.json'], "There are boxes for 'x.jpg'"),
        (['--unlabeled', 'lost.json', '--boxes', 'unknown.json'], 'has boxes of its own'),
        (['--boxes', 'unknown.json'], 'Name them by --unlabeled'),
        (['--unlabeled', 'lost.json', '--detector', 'a.onnx'], 'Remove --detector'),
        (['--unlabeled', 'others', '--detector', 'a.onnx'], 'a.onnx does not exist'),
        (['--detector', 'a.onnx'], '--detector a.onnx needs pictures'),
    ],
)
def test_what_cannot_be_used_is_said_before_the_training(
    drawn, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawn / 'others', 'others')
    for folder in ('empty', 'broken'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'broken' / 'a.jpg').write_bytes(b'no picture')
    (tmp_path / 'text.txt').write_text('words')
    (tmp_path / 'half.json').write_text('{"images": [')
    image = dict(id=1, file_name='lost.jpg', width=9, height=9)
    person = dict(id=1, image_id=1, bbox=[0, 0, 9, 9])
    (tmp_path / 'lost.json').write_text(json.dumps(dict(images=[image], annotations=[person])))
    classless = dict(images=[image], annotations=[person], categories=[dict(id=1, name='person')])
    (tmp_path / 'classless.json').write_text(json.dumps(classless))
    (tmp_path / 'nobody.json').write_text(json.dumps(dict(images=[image], annotations=[])))
    names = [path.name for path in (tmp_path / 'others').iterdir()]
    (tmp_path / 'no_boxes.json').write_text(json.dumps(dict.fromkeys(names, [])))
    (tmp_path / 'unknown.json').write_text(json.dumps({'x.jpg': []}))
    with pytest.raises(UserError, match=message):
        use(config_of(drawn, tmp_path / 'run'), *arguments)


@pytest.mark.parametrize('ratio', ['0', '-1', 'nan', 'much'])
def test_a_ratio_is_above_zero(ratio, capsys):
    with pytest.raises(SystemExit):
        use(Config(), '--unlabeled', 'others', '--unlabeled-ratio', ratio)
    assert '--unlabeled-ratio' in capsys.readouterr().err


def test_a_method_without_images_and_images_without_a_method_are_refused(drawn, tmp_path):
    with pytest.raises(UserError, match='there are no unlabeled images'):
        use(config_of(drawn, tmp_path, 'mean_teacher'))
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others')
    apply_method(cfg.model, 'dml')
    with pytest.raises(UserError, match=r'model\.unlabeled is not set'):
        use(cfg)
    cfg.model = dict(type='TopdownPoseEstimator')
    with pytest.raises(UserError, match='requires a multi-branch model'):
        use(cfg, '--unlabeled', drawn / 'others')


@pytest.fixture
def warned(monkeypatch):
    """Sentences of warnings."""
    said = []
    for module in ('data.unlabeled', 'deploy.inference.images'):
        name = f'okdhp_mm.{module}.print_log'
        monkeypatch.setattr(name, lambda sentence, *_: said.append(sentence))
    return said


@pytest.mark.parametrize(
    ('batch_size', 'sampler'),
    [
        (16, dict(type='MixedSampler', batch_size=(2, 2))),
        (4, dict(type='MixedSampler', batch_size=(0, 4))),
        (4, dict(type='MixedSampler', batch_size=(4, 0))),
        (4, dict(type='DefaultSampler', shuffle=True)),
    ],
)
def test_batches_without_one_kind_are_refused(drawn, tmp_path, batch_size, sampler):
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', drawn / 'others')
    cfg.train_dataloader.update(batch_size=batch_size, sampler=sampler)
    with pytest.raises(UserError, match=f'batch_size={batch_size} and sampler='):
        use(cfg)


def test_pictures_of_the_validation_are_warned_of(drawn, tmp_path, warned):
    folder = tmp_path / 'mixed'
    shutil.copytree(drawn / 'others', folder)
    use(config_of(drawn, tmp_path), '--unlabeled', folder)
    assert warned == []
    held_out = sorted((drawn / 'val2017').iterdir())[0]
    shutil.copy(held_out, folder / 'copy.jpg')
    use(config_of(drawn, tmp_path), '--unlabeled', folder)
    (sentence,) = warned
    assert f'1 of {OTHERS + 1} unlabeled pictures are also validated on' in sentence
    assert 'copy.jpg' in sentence


def test_unreadable_pictures_are_left_out_with_a_warning(drawn, tmp_path, warned):
    folder = tmp_path / 'mixed'
    shutil.copytree(drawn / 'others', folder)
    (folder / 'a.jpg').write_bytes(b'no picture')
    cfg = use(config_of(drawn, tmp_path), '--unlabeled', folder)
    assert len(unlabeled_of(cfg)['images']) == OTHERS
    assert len(warned) == 1
    assert 'a.jpg cannot be read' in warned[0]
