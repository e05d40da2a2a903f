"""The benchmark of label efficiency: who is labeled, pairs of frames, all of it as a toy."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import label_efficiency
import numpy as np
import pytest
import torch
from common import CODEC
from conftest import ROOT
from mmengine.config import Config, ConfigDict
from mmengine.dataset import ConcatDataset
from temporal import FramePairs, PairSampler, TemporalTeaching

from okdhp_mm.compare.runs import Run
from okdhp_mm.errors import UserError

FRAMES = 8
NAMES = ('head', 'tail')
META = dict(
    dataset_name='worm',
    keypoint_info={i: dict(name=n, id=i, type='', swap='') for i, n in enumerate(NAMES)},
    skeleton_info={},
    joint_weights=[1.0, 1.0],
    sigmas=[0.05, 0.05],
)


@pytest.fixture
def video(tmp_path):
    """Annotations of two tracks in a video; the second is not in frame 3."""
    (tmp_path / 'frames').mkdir()
    generator = np.random.default_rng(0)
    images, persons = [], []
    for frame in range(FRAMES):
        name = f'frames/{frame}.png'
        picture = generator.integers(0, 256, (64, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name), picture)
        images.append(dict(id=frame, file_name=name, width=64, height=64))
        for track in (0, 1):
            if (frame, track) == (3, 1):
                continue
            x = 4 + 24 * track + frame
            points = [x + 5, 20, 2, x + 15, 30, 2]
            persons.append(
                dict(
                    id=len(persons), image_id=frame, track_id=track, category_id=1, iscrowd=0,
                    bbox=[x, 10, 20, 30], area=600, keypoints=points, num_keypoints=2,
                )
            )  # fmt: skip
    category = dict(id=1, name='worm', keypoints=list(NAMES), skeleton=[])
    file = tmp_path / 'train.json'
    file.write_text(json.dumps(dict(images=images, annotations=persons, categories=[category])))
    return file


def dataset_of(video):
    return ConfigDict(
        type='CocoDataset',
        ann_file=str(video),
        data_prefix=dict(img=f'{video.parent}/'),
        metainfo=META,
        pipeline=[],
    )


def test_labeled_and_unlabeled_pictures_are_all_pictures_once(video, tmp_path):
    persons = label_efficiency.persons_of(dataset_of(video))
    part = label_efficiency.divide(persons, 3, 0, tmp_path / 'out')
    first = {persons[index]['img_path'] for index in part.labeled}
    content = json.loads(part.unlabeled.read_text())
    second = {image['file_name'] for image in content['images']}
    assert len(first) == 3 and not first & second and len(first | second) == FRAMES
    assert len(part.labeled) + len(content['annotations']) == len(persons)
    known = {person['id']: person for person in json.loads(video.read_text())['annotations']}
    for person in content['annotations']:
        assert not {'keypoints', 'num_keypoints'} & person.keys()
        assert person['bbox'] == known[person['id']]['bbox']
        assert person['track_id'] == known[person['id']]['track_id']
    again = label_efficiency.divide(persons, 3, 0, tmp_path / 'again')
    other = label_efficiency.divide(persons, 3, 1, tmp_path / 'out')
    assert again.labeled == part.labeled != other.labeled


def test_all_pictures_cannot_be_labeled(video, tmp_path):
    persons = label_efficiency.persons_of(dataset_of(video))
    with pytest.raises(UserError, match=r'--labels 8 must be below the 8 pictures'):
        label_efficiency.divide(persons, FRAMES, 0, tmp_path)


def test_all_pictures_can_be_labeled_with_other_unlabeled_ones(video, tmp_path):
    persons = label_efficiency.persons_of(dataset_of(video))
    given = (tmp_path / 'other.json', tmp_path / 'other')
    part = label_efficiency.divide(persons, FRAMES, 0, tmp_path / 'out', given)
    assert part == label_efficiency.Division(list(range(len(persons))), *given)
    assert not (tmp_path / 'out').exists()
    with pytest.raises(UserError, match=r'--labels 9 must be at most the 8 pictures'):
        label_efficiency.divide(persons, FRAMES + 1, 0, tmp_path, given)


def test_persons_that_a_teacher_labeled_need_one_and_join_once(tmp_path):
    part = label_efficiency.Division([0], tmp_path, tmp_path)
    cfg = Config(dict(model=dict(unlabeled=dict())))
    with pytest.raises(UserError, match=r'alone_taught needs a teacher. Name one by --teacher'):
        label_efficiency.join(cfg, 'alone_taught', part)
    taught = label_efficiency.replace(part, taught=(tmp_path / 'labels.json', tmp_path))
    cfg.model.unlabeled.confidence = 0.5
    with pytest.raises(UserError, match=r'pose_dual_taught uses the other pictures twice'):
        label_efficiency.join(cfg, 'pose_dual_taught', taught)


def pairs_of(video):
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomBBoxTransform', rotate_prob=1),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(
            type='PackPoseInputs',
            meta_keys=('id', 'img_id', 'input_center', 'input_scale', 'flip_indices'),
        ),
    ]
    return FramePairs(
        ann_file=str(video),
        data_prefix=dict(img=f'{video.parent}/'),
        metainfo=META,
        pipeline=pipeline,
    )


def test_the_frames_of_a_pair_follow_each_other_and_are_cut_out_alike(video):
    dataset = pairs_of(video)
    half = len(dataset) // 2
    # Track 0 has 7 pairs. Track 1 has 2 before the frame that it is not in, and 3 after it.
    assert half == 12
    persons = json.loads(video.read_text())['annotations']
    for index in range(half):
        samples = [dataset[place]['data_samples'] for place in (index, index + half)]
        first, second = (persons[sample.id] for sample in samples)
        assert first['track_id'] == second['track_id']
        assert second['image_id'] == first['image_id'] + 1
        for key in ('input_center', 'input_scale'):
            assert np.array_equal(samples[0].get(key), samples[1].get(key))
        assert np.array_equal(*(sample.gt_instances.bboxes for sample in samples))


def test_the_sampler_keeps_pairs_together(video):
    labeled, pairs = pairs_of(video), pairs_of(video)
    pairs._metainfo = labeled._metainfo
    sampler = PairSampler(ConcatDataset([labeled, pairs]), batch_size=(4, 4), seed=0)
    indices = [index - len(labeled) for index in sampler if index >= len(labeled)]
    half = len(pairs) // 2
    assert len(indices) == 4 * sampler.steps
    assert all(b == a + half and a < half for a, b in zip(*[iter(indices)] * 2, strict=True))


def test_the_frames_of_a_pair_exchange_what_they_teach(monkeypatch):
    maps = torch.arange(8.0).view(2, 4, 1, 1, 1)
    base = TemporalTeaching.__mro__[1]
    monkeypatch.setattr(base, '_teachers', lambda *_: maps)
    found = TemporalTeaching()._teachers(None, None)
    assert found.flatten().tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def test_the_figure_has_the_scores_of_all_runs_and_their_means():
    def runs(*scores):
        rest = dict(metric='PCK', lower_is_better=False, model='', training='', validation=[])
        run = functools.partial(Run, Path(), 'alone', **rest)
        return {seed: run(seed=seed, outputs=dict(model=s)) for seed, s in enumerate(scores)}

    found = {10: dict(alone=runs(0.25, 0.75)), 100: dict(alone=runs(0.75), okdhp=runs(1.0))}
    (axes,) = label_efficiency.figure_of(found).axes
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert lines == [
        *([[10, 0.25], [10, 0.75], [100, 0.75]], [[10, 0.5], [100, 0.75]]),
        *([[100, 1.0]], [[100, 1.0]]),
    ]
    assert axes.get_ylabel() == 'PCK'


@pytest.mark.slow
def test_the_whole_benchmark_at_the_size_of_a_toy(video, tmp_path):
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='PackPoseInputs'),
    ]
    base = Config.fromfile(ROOT / 'configs' / 'dkd' / 'fly_pair_initializer.py')
    dataset = dict(
        type='CocoDataset', ann_file=str(video), data_root='', data_prefix=dict(img=f'{tmp_path}/'),
        metainfo=META, pipeline=pipeline,
    )  # fmt: skip
    base.model.backbone.update(base_channels=8, stem_channels=8)
    base.model.head.update(
        in_channels=32, out_channels=2, deconv_out_channels=(8, 8), decoder=dict(CODEC)
    )
    workers = dict(num_workers=0, persistent_workers=False)
    # Assigned, because an update would merge the keypoints of both data sets.
    base.train_dataloader = dict(
        base.train_dataloader.to_dict(), dataset=dataset, batch_size=2, **workers
    )
    # Pictures of the validation data, and exact copies of them, do not join a training.
    shutil.copytree(tmp_path / 'frames', tmp_path / 'held')
    for picture in (tmp_path / 'held').iterdir():
        picture.write_bytes(picture.read_bytes() + b'other')
    held = tmp_path / 'val.json'
    held.write_text(video.read_text().replace('frames/', 'held/'))
    tested = dict(
        dataset, ann_file=str(held), test_mode=True, pipeline=[*pipeline[:-2], pipeline[-1]]
    )
    base.val_dataloader = dict(base.val_dataloader.to_dict(), dataset=tested, **workers)
    base.test_dataloader = base.val_dataloader
    base.merge_from_dict(dict(default_hooks=dict(checkpoint=dict(save_best='PCK', rule='greater'))))
    base.dump(tmp_path / 'stock.py')
    config, out = tmp_path / 'toy.py', tmp_path / 'runs'
    convert = [sys.executable, '-m', 'okdhp_mm', 'convert', str(tmp_path / 'stock.py')]
    subprocess.run([*convert, '-o', str(config)], check=True, cwd=ROOT)
    arms = ['alone', 'okdhp_unlabeled', 'temporal_mean_teacher']
    script = [sys.executable, str(ROOT / 'benchmarks' / 'label_efficiency.py')]
    command = [*script, str(config), '--labels', '2', '--arms', *arms, '--seeds', '0']
    command += ['--steps', '4', '--out', str(out)]
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    rows = [line.split(' | ') for line in printed.splitlines() if line.startswith('| 2 |')]
    assert [row[1] for row in rows] == arms
    assert rows[0][4] == '-' and all(np.isfinite(float(row[4])) for row in rows[1:])
    assert (out / 'label_efficiency.png').is_file()
    alone = out / '2' / 'alone' / 'seed0'
    teacher = [str(next(alone.glob(pattern))) for pattern in ('seed0.py', 'epoch_*.pth')]
    checkpoint = torch.load(teacher[1], weights_only=False)
    checkpoint['state_dict']['head.final_layer.weight'] *= 1e7  # scores above the threshold
    torch.save(checkpoint, teacher[1])
    taught = ['alone_taught', 'okdhp_taught']
    command[command.index('--arms') + 1 : command.index('--seeds')] = taught
    command += ['--teacher', *teacher]
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    rows = [line.split(' | ') for line in printed.splitlines() if line.startswith('| 2 |')]
    assert {*taught, *arms} == {row[1] for row in rows}
    cfg = Config.fromfile(out / '2' / 'okdhp_taught' / 'seed0' / 'seed0.py')
    labeled, others = cfg.train_dataloader.dataset.datasets
    others = json.loads(Path(others.ann_file).read_text())
    assert len(labeled.indices) + len(others['annotations']) == 2 * FRAMES - 1
    assert cfg.train_dataloader.batch_size == 4
    assert cfg.default_hooks.checkpoint.save_best == 'PCK'
    cards = [out / '2' / arm / 'seed0' / 'student' / 'README.md' for arm in (*arms[:2], *taught)]
    persons = len(labeled.indices)
    texts = [card.read_text() for card in cards]
    assert all(f'| trained on | `train.json` ({persons} persons of it)' in text for text in texts)
    assert '`2_0_unlabeled.json` (without labels) |' in texts[arms.index('okdhp_unlabeled')]
    assert '| metric | PCK' in texts[0]
    assert ' persons) with pseudo-labels |' in texts[-1]
