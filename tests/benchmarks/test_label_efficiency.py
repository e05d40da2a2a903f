"""The benchmark of label efficiency: who is labeled, and all of it as a toy."""

import json
import subprocess
import sys

import cv2
import label_efficiency
import numpy as np
import pytest
from common import CODEC
from conftest import ROOT
from mmengine.config import Config

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
    """Annotations of two worms in the frames of a video."""
    (tmp_path / 'frames').mkdir()
    generator = np.random.default_rng(0)
    images, persons = [], []
    for frame in range(FRAMES):
        name = f'frames/{frame}.png'
        picture = generator.integers(0, 256, (64, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name), picture)
        images.append(
            dict(
                id=frame,
                file_name=name,
                width=64,
                height=64,
            )
        )
        for track in (0, 1):
            x = 4 + 24 * track + frame
            points = [x + 5, 20, 2, x + 15, 30, 2]
            persons.append(
                dict(
                    id=len(persons), image_id=frame, category_id=1, iscrowd=0,
                    bbox=[x, 10, 20, 30], area=600, keypoints=points, num_keypoints=2,
                )
            )  # fmt: skip
    category = dict(id=1, name='worm', keypoints=list(NAMES), skeleton=[])
    file = tmp_path / 'train.json'
    file.write_text(json.dumps(dict(images=images, annotations=persons, categories=[category])))
    return file


def test_labeled_and_unlabeled_pictures_are_all_pictures_once(video, tmp_path):
    labeled, unlabeled, persons = label_efficiency.divide(video, 3, 0, tmp_path / 'out')
    parts = [json.loads(file.read_text()) for file in (labeled, unlabeled)]
    first, second = ({image['id'] for image in part['images']} for part in parts)
    assert len(first) == 3 and not first & second and first | second == set(range(FRAMES))
    assert persons == len(parts[0]['annotations'])
    assert all('keypoints' in person for person in parts[0]['annotations'])
    for person in parts[1]['annotations']:
        assert not {'keypoints', 'num_keypoints'} & person.keys() and person['image_id'] in second
    again = label_efficiency.divide(video, 3, 0, tmp_path / 'again')[0]
    other = label_efficiency.divide(video, 3, 1, tmp_path / 'out')[0]
    assert again.read_text() == labeled.read_text() != other.read_text()


def test_all_pictures_cannot_be_labeled(video, tmp_path):
    with pytest.raises(UserError, match=r'--labels 8 must be below the 8 pictures'):
        label_efficiency.divide(video, FRAMES, 0, tmp_path)


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
    base.val_dataloader = dict(
        base.val_dataloader.to_dict(), dataset=dict(dataset, test_mode=True), **workers
    )
    base.test_dataloader = base.val_dataloader
    base.dump(tmp_path / 'stock.py')
    config, out = tmp_path / 'toy.py', tmp_path / 'runs'
    convert = [sys.executable, '-m', 'okdhp_mm', 'convert', str(tmp_path / 'stock.py')]
    subprocess.run([*convert, '-o', str(config)], check=True, cwd=ROOT)
    arms = ['alone', 'okdhp_unlabeled']
    script = [sys.executable, str(ROOT / 'benchmarks' / 'label_efficiency.py')]
    command = [*script, str(config), '--labels', '2', '--arms', *arms, '--seeds', '0']
    command += ['--steps', '4', '--out', str(out)]
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    rows = [line.split(' | ') for line in printed.splitlines() if line.startswith('| 2 |')]
    assert [row[1] for row in rows] == arms
    assert rows[0][4] == '-' and np.isfinite(float(rows[1][4]))
    assert (out / 'label_efficiency.png').is_file()
