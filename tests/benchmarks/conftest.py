"""Data of the benchmarks: noise in MPII's layout, and a config with a tiny network."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

ROOT = Path(__file__).parents[2]
# The scripts import each other as they do where they are run.
sys.path.insert(0, str(ROOT / 'benchmarks'))

PERSONS = 6
CONFIG = f"""
_base_ = '{ROOT}/configs/okdhp/resnet18_mpii_128x128.py'
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    head=dict(in_channels=64, deconv_out_channels=(8, 8, 8)),
)
train_dataloader = dict(num_workers=0, persistent_workers=False)
"""


@pytest.fixture(scope='session')
def mpii(tmp_path_factory):
    """A folder in MPII's layout."""
    root = tmp_path_factory.mktemp('mpii')
    (root / 'annotations').mkdir()
    (root / 'images').mkdir()
    generator = np.random.default_rng(0)
    persons = []
    for index in range(PERSONS):
        picture = generator.integers(0, 256, (96, 96, 3), np.uint8)
        cv2.imwrite(str(root / 'images' / f'{index}.jpg'), picture)
        joints = generator.uniform(20, 80, (16, 2)).tolist()
        person = dict(image=f'{index}.jpg', center=[48, 48], scale=0.5, joints=joints)
        persons.append(person | dict(joints_vis=[1] * 16))
    for split in ('train', 'val'):
        (root / 'annotations' / f'mpii_{split}.json').write_text(json.dumps(persons))
    heads = np.tile(np.array([[0, 0], [20, 20]])[..., None], PERSONS)
    savemat(root / 'annotations' / 'mpii_gt_val.mat', dict(headboxes_src=heads))
    return root


@pytest.fixture
def config(tmp_path):
    """File of a training config of MPII's."""
    file = tmp_path / 'tiny_mpii.py'
    file.write_text(CONFIG)
    return file
