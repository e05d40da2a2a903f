"""Files of SLEAP and DeepLabCut become clips with identities."""

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipDataset
from okdhp_mm.video.readers import animals
from okdhp_mm.video.readers.animals import convert_animals

WRITTEN_BY_SLEAP = Path(__file__).parent / 'sleap'
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


@pytest.fixture
def convert_file(tmp_path):
    """A converter of a file of this folder, with pictures of six frames."""

    def run(file, **settings):
        (tmp_path / 'frames').mkdir(exist_ok=True)
        for number in range(6):
            cv2.imwrite(str(tmp_path / 'frames' / f'{number}.png'), np.zeros((60, 90, 3), np.uint8))
        convert_animals(file, tmp_path / 'frames', tmp_path / 'train.json', **settings)
        return json.loads((tmp_path / 'train.json').read_text())

    return run


@pytest.mark.parametrize('name', ['flies.slp', 'flies.analysis.h5', 'flies.analysis.csv'])
def test_files_that_sleap_wrote(convert_file, name):
    """A label replaces the prediction; a hidden and a weak keypoint are not labeled."""
    if not name.endswith('.csv'):
        pytest.importorskip('h5py')
    content = convert_file(WRITTEN_BY_SLEAP / name)
    names = content['categories'][0]['keypoints']
    assert sorted(names) == ['head', 'tail', 'thorax']
    found = identities(content)
    female, male = [(n, 0) for n in (0, 1, 2, 3, 5)], [(n, 1) for n in (0, 1, 3, 5)]
    assert found == sorted(female + male)
    frames = {image['id']: image['frame_id'] for image in content['images']}
    poses = {
        (frames[label['image_id']], label['track_id']): dict(
            zip(names, np.reshape(label['keypoints'], (-1, 3)).tolist(), strict=True)
        )
        for label in content['annotations']
    }
    assert poses[0, 0] == dict(head=[10.5, 20, 2], thorax=[20.5, 22, 2], tail=[30.5, 25, 2])
    assert poses[1, 0] == dict(head=[11, 20, 2], thorax=[0, 0, 0], tail=[31, 25, 2])
    assert poses[1, 1] == dict(head=[51, 40, 2], thorax=[0, 0, 0], tail=[71, 45, 2])
    assert poses[5, 0]['head'] == [15, 20, 2]
    assert poses[3, 0]['head'] == [13, 40, 2]


def test_animals_without_a_track_are_told(convert_file, monkeypatch):
    told = []
    monkeypatch.setattr(animals, 'print_log', lambda text, *_: told.append(text))
    convert_file(WRITTEN_BY_SLEAP / 'flies.analysis.csv')
    assert len(told) == 1 and re.search('3 of 12 poses in .* have no track', told[0])


@pytest.fixture
def project(tmp_path):
    """A copy of the project, and h5py to change it."""
    h5py = pytest.importorskip('h5py')
    shutil.copy(WRITTEN_BY_SLEAP / 'flies.slp', tmp_path)
    return h5py.File(tmp_path / 'flies.slp', 'r+')


def test_a_project_of_pictures(project, convert_file, tmp_path):
    """The frames count the pictures, whatever their names are."""
    names = [f'old/place/day{9 - number}.png' for number in range(6)]
    del project['videos_json']
    project['videos_json'] = [json.dumps(dict(backend=dict(filenames=names)))]
    project.close()
    (tmp_path / 'frames').mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / 'frames' / Path(name).name), np.zeros((60, 90, 3), np.uint8))
    content = convert_file(tmp_path / 'flies.slp')
    assert [image['file_name'] for image in content['images']] == [
        f'day{9 - number}.png' for number in (0, 1, 2, 3, 5)
    ]


def test_old_projects_count_from_the_corner_of_a_pixel(project, convert_file, tmp_path):
    project['metadata'].attrs['format_id'] = 1.0
    project.close()
    label = convert_file(tmp_path / 'flies.slp')['annotations'][0]
    assert label['keypoints'][:2] == [10, 19.5]


def test_a_project_of_several_videos_is_refused(project, convert_file, tmp_path):
    frames = project['frames'][:]
    frames['video'][3] = 1
    project['frames'][:] = frames
    project.close()
    with pytest.raises(UserError, match='has poses of 2 videos. Save each video'):
        convert_file(tmp_path / 'flies.slp')


@pytest.mark.parametrize(
    'damage',
    [
        lambda file: file.pop('metadata'),
        lambda file: file['metadata'].attrs.update(json='{"skel'),
        lambda file: file['instances'].write_direct(
            np.full_like(file['instances'][:], 10**6)
        ),
        lambda file: file['tracks_json'].resize((0,)),
    ],
)  # fmt: skip
def test_a_damaged_project_is_refused(project, convert_file, tmp_path, damage):
    with project:
        damage(project)
    with pytest.raises(UserError, match='flies.slp is not a complete file of SLEAP'):
        convert_file(tmp_path / 'flies.slp')


def test_other_hdf5_files_are_refused(convert_file, tmp_path, monkeypatch):
    h5py = pytest.importorskip('h5py')
    (tmp_path / 'text.slp').write_text('no')
    with pytest.raises(UserError, match='text.slp is not an HDF5 file'):
        convert_file(tmp_path / 'text.slp')
    with h5py.File(tmp_path / 'dlc.h5', 'w') as file:
        file['df_with_missing'] = [1]
    with pytest.raises(UserError, match='dlc.h5 has neither .* Of DeepLabCut, name the CSV'):
        convert_file(tmp_path / 'dlc.h5')


def test_hdf5_files_need_h5py(convert_file, monkeypatch):
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(UserError, match='flies.slp is an HDF5 file, .* pip install h5py'):
        convert_file(WRITTEN_BY_SLEAP / 'flies.slp')


def test_frames_in_rows_are_refused(convert_file):
    with pytest.raises(UserError, match='has all animals of a frame in one row'):
        convert_file(WRITTEN_BY_SLEAP / 'frames.csv')


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
        (SLEAP.replace('female,1', 'female,0'), "Frame 0 .* has two animals of track 'female'"),
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
    with pytest.raises(UserError, match='The file .*lost.csv does not exist'):
        convert_animals(tmp_path / 'lost.csv', tmp_path, tmp_path / 'train.json')
    convert(SLEAP)
    with pytest.raises(UserError, match='Write the frames of the video into it as 000000.png'):
        convert_animals(tmp_path / 'poses.csv', tmp_path / 'lost', tmp_path / 'train.json')
