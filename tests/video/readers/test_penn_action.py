"""Real labels of Penn Action, written as its own files and read again."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from scipy.io import savemat

from okdhp_mm.errors import UserError
from okdhp_mm.video.clips import ClipDataset
from okdhp_mm.video.readers.penn_action import KEYPOINTS, convert_penn_action

CONFIG = Path(__file__).parents[3] / 'configs' / 'dkd' / 'penn_action_dkd.py'


@pytest.fixture(scope='module')
def labels(data_root):
    file = data_root / 'penn_action_labels' / 'labels.npz'
    if not file.is_file():
        pytest.skip(f'{file} does not exist')
    return dict(np.load(file))


def write_mat(folder, labels, videos):
    """Write the first videos as the dataset's own files."""
    (folder / 'labels').mkdir()
    ends = np.cumsum(labels['lengths'])
    count = len(labels['xy']) * 13
    visible = np.unpackbits(labels['visibility'], count=count).reshape(-1, 13)
    for video in range(videos):
        frames = slice(ends[video] - labels['lengths'][video], ends[video])
        xy = labels['xy'][frames] / 8
        savemat(
            folder / 'labels' / f'{video + 1:04}.mat',
            dict(
                x=xy[..., 0],
                y=xy[..., 1],
                visibility=visible[frames],
                bbox=labels['bbox'][frames].astype(float),
                train=labels['train'][video],
                dimensions=[*labels['size'][video], labels['lengths'][video]],
            ),
        )


def test_real_labels(labels, tmp_path):
    write_mat(tmp_path, labels, 4)
    files = convert_penn_action(tmp_path)
    content = {name: json.loads(file.read_text()) for name, file in files.items()}
    assert len(content['test']['images']) == labels['lengths'][0]
    assert len(content['train']['images']) == labels['lengths'][1:4].sum()
    first = content['test']['annotations'][0]
    pose = np.reshape(first['keypoints'], (13, 3))
    assert len(KEYPOINTS) == 13 and first['num_keypoints'] == (pose[:, 2] == 2).sum()
    expected = labels['xy'][0] / 8 - 1
    assert np.allclose(pose[pose[:, 2] > 0, :2], expected[pose[:, 2] > 0])
    x, y, width, height = first['bbox']
    assert (pose[pose[:, 2] > 0, :2] >= [x, y]).all()
    assert (pose[pose[:, 2] > 0, :2] <= [x + width, y + height]).all()


def test_the_config_reads_them_as_clips(labels, tmp_path):
    write_mat(tmp_path, labels, 3)
    convert_penn_action(tmp_path)
    settings = Config.fromfile(CONFIG).train_dataloader.dataset
    settings.dataset.data_root = str(tmp_path)
    dataset = ClipDataset(settings.dataset, frames=5)
    assert len(dataset) == sum(length // 5 for length in labels['lengths'][1:3].tolist())
    swaps = dataset.metainfo['flip_indices']
    assert [KEYPOINTS[i] for i in swaps[:3]] == ['head', 'right_shoulder', 'left_shoulder']


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match='has no .mat files'):
        convert_penn_action(tmp_path)
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / '0001.mat').write_bytes(b'nothing')
    with pytest.raises(UserError, match='0001.mat is not a label file of Penn Action'):
        convert_penn_action(tmp_path)
