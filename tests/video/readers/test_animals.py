"""Tables of SLEAP and DeepLabCut become clips with identities."""

import json

import cv2
import numpy as np
import pytest

from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipDataset
from okdhp_mm.video.readers.animals import convert_animals

# As SLEAP 1.3 and sleap-io 0.9 write it: the columns are sorted, and labels by hand have no score.
SLEAP = """track,frame_idx,instance.score,head.score,head.x,head.y,tail.score,tail.x,tail.y
female,0,0.9,0.9,10.5,20,0.8,30,25
male,0,,,50,40,,60,44.5
female,1,0.9,0.9,11.5,20,0.3,31,25
male,2,,,52,40,,,
female,2,0.9,0.9,12.5,20,0.8,32,25
"""
LABELS = """scorer,me,me,me,me,me,me,me,me
individuals,a,a,a,a,b,b,b,b
bodyparts,head,head,tail,tail,head,head,tail,tail
coords,x,y,x,y,x,y,x,y
labeled-data/clip/img0007.png,10.5,20,30,25,50,40,60,44.5
labeled-data/clip/img0008.png,11.5,20,31,25,,,,
labeled-data/clip/img0009.png,12.5,20,32,25,52,40,62,44.5
"""
POSES = """scorer,net,net,net,net,net,net
bodyparts,head,head,head,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,10.5,20,0.99,30,25,0.98
1,11.5,20,0.99,31,25,0.2
2,12.5,20,0.4,32,25,0.1
"""
PIPELINE = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(32, 32)),
    dict(type='PackPoseInputs'),
]


@pytest.fixture
def convert(tmp_path):
    """A writer of a table and its pictures, which are numbered from a first number."""

    def run(text, first=0, name='poses.csv', **settings):
        (tmp_path / 'clip').mkdir(exist_ok=True)
        for number in range(first, first + 3):
            picture = np.full((60, 80, 3), number, np.uint8)
            cv2.imwrite(str(tmp_path / 'clip' / f'img{number:04}.png'), picture)
        (tmp_path / name).write_text(text)
        target = tmp_path / 'train.json'
        convert_animals(tmp_path / name, tmp_path / 'clip', target, **settings)
        return json.loads(target.read_text())

    return run


def identities(content):
    frames = {image['id']: image['frame_id'] for image in content['images']}
    return sorted(
        (frames[label['image_id']], label['track_id']) for label in content['annotations']
    )


def clips(tmp_path, **settings):
    """Read the file as clips of any stock dataset."""
    stock = dict(type='CocoDataset', ann_file=str(tmp_path / 'train.json'))
    stock['data_prefix'] = dict(img=str(tmp_path / 'clip'))
    names = ('head', 'tail')
    stock['metainfo'] = dict(
        dataset_name='mice',
        keypoint_info={
            n: dict(name=name, id=n, color=[0, 0, 0], type='', swap='')
            for n, name in enumerate(names)
        },
        skeleton_info={},
        joint_weights=[1.0, 1.0],
        sigmas=[0.1, 0.1],
    )
    return ClipDataset(dict(stock, pipeline=PIPELINE), **settings)


def test_sleap(convert, tmp_path):
    content = convert(SLEAP)
    assert content['categories'][0]['keypoints'] == ['head', 'tail']
    assert [image['file_name'] for image in content['images']] == [
        f'img{number:04}.png' for number in range(3)
    ]
    assert identities(content) == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    female, male, weak, single, _ = content['annotations']
    assert female['keypoints'] == [10.5, 20, 2, 30, 25, 2]
    assert male['keypoints'] == [50, 40, 2, 60, 44.5, 2]  # by hand, without a score
    assert weak['keypoints'] == [11.5, 20, 2, 0, 0, 0]  # a score of 0.3
    assert single['num_keypoints'] == 1 and min(single['bbox'][2:]) > 0
    dataset = clips(tmp_path, frames=3)
    assert len(dataset) == 1  # the male has a hole
    assert [int(image[0, 0, 0]) for image in dataset[0].inputs] == [0, 1, 2]
    assert sorted(len(track) for track in clips(tmp_path).clips) == [1, 1, 3]


def test_labels_of_deeplabcut(convert, tmp_path):
    content = convert(LABELS, first=7)
    assert identities(content) == [(7, 0), (7, 1), (8, 0), (9, 0), (9, 1)]
    assert len(clips(tmp_path, frames=3)) == 1


def test_poses_of_deeplabcut(convert):
    content = convert(POSES)
    assert identities(content) == [(0, 0), (1, 0)]
    assert content['annotations'][1]['keypoints'] == [11.5, 20, 2, 0, 0, 0]
    assert identities(convert(POSES, min_score=0.3)) == [(0, 0), (1, 0), (2, 0)]


def test_a_single_animal_of_sleap_needs_no_track(convert):
    rows = [line for line in SLEAP.splitlines() if not line.startswith('male')]
    assert identities(convert('\n'.join(rows).replace('female', ''))) == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.parametrize(
    'text, message',
    [
        (SLEAP.replace('female', '').replace('male', ''), 'Frame 0 .* has two animals without a'),
        (SLEAP.replace('female', 'male'), "Frame 0 .* has two animals of track 'male'"),
        (SLEAP.replace('10.5', 'ten'), "'ten' as a coordinate"),
        (SLEAP.replace('10.5', 'inf'), 'infinite'),
        (SLEAP.replace('female,1,0.9', 'female,1'), 'has 8 columns instead of 9'),
        (SLEAP.replace('.x', '.z'), '0 keypoints'),
        (SLEAP.splitlines()[0], '0 rows'),
        (SLEAP.replace('female,1', 'female,8'), 'names the picture 8, which does not exist'),
        (POSES.replace('coords', 'axes'), 'not a table of DeepLabCut'),
        (POSES.replace('0.9', '0.0'), 'no pose with a score of 0.6'),
        ('', 'not a table of DeepLabCut'),
    ],
)
def test_wrong_tables_are_refused(convert, text, message):
    with pytest.raises(UserError, match=message):
        convert(text)


def test_wrong_files_are_refused(convert, tmp_path):
    with pytest.raises(UserError, match='is a binary file. Write it as CSV: in SLEAP by'):
        convert(SLEAP, name='labels.v001.slp')
    with pytest.raises(UserError, match='The table .*lost.csv does not exist'):
        convert_animals(tmp_path / 'lost.csv', tmp_path, tmp_path / 'train.json')
    convert(SLEAP)
    with pytest.raises(UserError, match='Write the frames of the video into it, e.g. by `ffmpeg'):
        convert_animals(tmp_path / 'poses.csv', tmp_path / 'lost', tmp_path / 'train.json')
