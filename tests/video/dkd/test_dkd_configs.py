"""The configs of DKD build, and their controls differ in what they control."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from common import build
from mmengine.config import Config

from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.video.clips import ClipDataset

FOLDER = Path(__file__).parents[3] / 'configs' / 'dkd'
CONFIGS = sorted(FOLDER.glob('*.py'))


def model_of(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    drop_pretrained(cfg.model)
    return build(cfg.model).eval()


def test_all_controls_are_there():
    controls = 'same_encoder same_cost previous_heatmaps repeat initializer_per_frame'
    names = {f'fly_pair_{name}' for name in (*controls.split(), 'dkd', 'initializer')}
    assert names <= {file.stem for file in CONFIGS}


@pytest.mark.parametrize('file', CONFIGS, ids=lambda file: file.stem)
def test_config_builds(file):
    cfg = Config.fromfile(file)
    drop_pretrained(cfg.model)
    model = build(cfg.model).eval()
    width, height = (model.codec if hasattr(model, 'codec') else model.head.decoder).input_size
    images = torch.zeros(2, 3, height, width)
    with torch.no_grad():
        if cfg.model.type == 'DKDPoseEstimator':
            assert cfg.train_dataloader.dataset.type == 'ClipDataset'
            assert cfg.test_evaluator.type == 'ClipMetric'
            state = model.step(images, model.initialize(images))
            assert state.heatmaps.shape[1:] == model.initial_heatmaps(images).shape[1:]
        else:
            model(images, None, mode='tensor')


def test_controls_share_initializer_and_encoder():
    dkd = model_of('fly_pair_dkd')
    stock = model_of('fly_pair_initializer').state_dict()
    assert stock.keys() == dkd.initializer.state_dict().keys()
    alone = model_of('fly_pair_same_encoder').backbone.state_dict()
    assert {n: v.shape for n, v in alone.items()} == {
        n: v.shape for n, v in dkd.backbone.state_dict().items()
    }


@pytest.mark.parametrize('name', ['initializer', 'same_encoder'])
def test_other_animals_need_other_names_only(name, tmp_path):
    shutil.copytree(FOLDER, tmp_path / 'dkd')
    shutil.copytree(FOLDER.parent / '_base_' / 'dkd', tmp_path / '_base_' / 'dkd')
    base = tmp_path / '_base_' / 'dkd' / 'fly_pair.py'
    text = base.read_text()
    names = text[text.index('names = [') : text.index('mirrored =')]
    base.write_text(
        text.replace(names, "names = ['head', 'thorax', 'abdomen', 'wingL', 'wingR']\n")
    )
    cfg = Config.fromfile(tmp_path / 'dkd' / f'fly_pair_{name}.py')
    assert cfg.model.head.out_channels == len(cfg.metainfo.sigmas) == 5
    assert len(cfg.metainfo.joint_weights) == 5


def test_jhmdb_clip_in_mmposes_format(data_root, tmp_path):
    """A whole clip of JHMDB: 40 frames of one person without identities."""
    folder = data_root / 'jhmdb_clip'
    labels = json.loads((folder / 'annotations.json').read_text())
    images, annotations = [], []
    for number, pose in enumerate(labels['keypoints'], 1):
        name = f'frames/{number:05}.jpg'
        images.append(dict(id=number, file_name=name, width=320, height=240))
        points = [value for x, y in pose for value in (x + 1, y + 1, 2)]
        annotations.append(
            dict(id=number, image_id=number, category_id=1, bbox=[240, 80, 90, 130],
                keypoints=points, num_keypoints=15)
        )  # fmt: skip
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='p')])
    (tmp_path / 'labels.json').write_text(json.dumps(content))
    cfg = Config.fromfile(FOLDER / 'resnet18_jhmdb_sub1.py')
    clips = cfg.val_dataloader.dataset
    clips.dataset.update(
        data_root='', ann_file=str(tmp_path / 'labels.json'), data_prefix=dict(img=str(folder))
    )
    dataset = ClipDataset(clips.dataset)
    assert [len(dataset.clips), len(dataset.clips[0])] == [1, 40]
    assert len(ClipDataset(clips.dataset, frames=5)) == 8
    clip = ClipDataset(clips.dataset, frames=2)[3]
    assert [sample.img_path[-9:] for sample in clip.data_samples] == ['00007.jpg', '00008.jpg']
    assert clip.inputs[0].shape == (3, 256, 256)
