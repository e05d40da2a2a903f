"""On real photographs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from common import build
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS

from okdhp_mm.io.config import drop_pretrained

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def coco(data_root):
    root = data_root / 'coco_mini'
    if not root.is_dir():
        pytest.skip(f'the photographs of COCO are not at {root}')
    return root


def hrnet_coco(coco, split='train'):
    """The config's own pipeline on the photographs, and its model with a narrow network."""
    cfg = Config.fromfile(ROOT / 'configs' / 'okdhp' / 'hrnet_w32_coco.py')
    dataset = cfg[f'{split}_dataloader'].dataset
    dataset.data_root = f'{coco}/'
    dataset.pop('bbox_file', None)
    drop_pretrained(cfg.model)
    for index in range(1, 5):
        stage = cfg.model.backbone.extra[f'stage{index}']
        stage.num_modules = 1
        stage.num_blocks = (1,) * len(stage.num_channels)
        stage.num_channels = tuple(8 * 2**i for i in range(len(stage.num_channels)))
    cfg.model.head.in_channels = 8
    return DATASETS.build(dataset), build(cfg.model)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_every_photograph_that_the_annotations_name_is_there(coco, split):
    content = json.loads((coco / 'annotations' / f'person_keypoints_{split}2017.json').read_text())
    names = [image['file_name'] for image in content['images']]
    assert names
    assert [name for name in names if not (coco / f'{split}2017' / name).is_file()] == []


def test_the_coco_config_takes_a_step_on_real_persons(coco):
    torch.manual_seed(0)
    np.random.seed(0)
    dataset, model = hrnet_coco(coco)
    assert len(dataset) > 50
    model.init_weights()
    model.train()
    data = pseudo_collate([dataset[i] for i in range(4)])
    assert data['inputs'][0].shape == (3, 256, 192)
    data = model.data_preprocessor(data, training=True)
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_coco_config_predicts_within_the_persons_box(coco):
    dataset, model = hrnet_coco(coco, 'val')
    model.eval()
    data = model.data_preprocessor(pseudo_collate([dataset[i] for i in range(2)]), training=False)
    with torch.no_grad():
        samples = model(**data, mode='predict')
    for sample in samples:
        # A peak at the edge is refined by a fraction beyond it.
        reach = 0.55 * sample.metainfo['input_scale']
        center = sample.metainfo['input_center']
        for instances in (sample.pred_instances, sample.pred_outputs.get('ensemble')):
            assert (abs(instances.keypoints - center) <= reach).all()
            assert instances.keypoints.std() > 1


@pytest.mark.slow
def test_eight_real_persons_are_learnt_by_heart(coco):
    """Every branch and the ensemble find every labeled keypoint of what they were shown."""
    torch.manual_seed(0)
    np.random.seed(0)
    cfg = Config.fromfile(ROOT / 'configs' / 'okdhp' / 'demo.py')
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.data_root = f'{coco}/'
    # Always the same crop: no flip.
    dataset_cfg.pipeline = [step for step in dataset_cfg.pipeline if step.type != 'RandomFlip']
    dataset = DATASETS.build(dataset_cfg)
    samples = [dataset[i] for i in range(len(dataset))]
    whole = [
        s for s in samples if (s['data_samples'].gt_instances.keypoints_visible > 0).sum() > 12
    ]
    data = pseudo_collate(whole[:8])
    model = build(cfg.model)
    model.init_weights()
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batch = model.data_preprocessor(data, training=True)
    for step in range(150):
        model.head.distiller.set_progress(step / 150)
        optimizer.zero_grad()
        model.parse_losses(model(**batch, mode='loss'))[0].backward()
        optimizer.step()
    # Batch statistics: eight persons are too few for running ones.
    with torch.no_grad():
        outputs = model.head.outputs(model.backbone(batch['inputs']))
    targets = torch.stack([sample.gt_fields.heatmaps for sample in batch['data_samples']])
    labeled = torch.cat(
        [sample.gt_instance_labels.keypoint_weights for sample in batch['data_samples']]
    )
    inside = (targets.amax((-2, -1)) > 0.5) & (labeled > 0)
    assert inside.sum() > 60
    for heatmaps in (*outputs.final_heatmaps, outputs.ensemble):
        distance = (peak(heatmaps) - peak(targets)).norm(dim=-1)
        assert (distance[inside] <= 1.5).float().mean() > 0.97


def peak(heatmaps):
    """Position of the maximum, in heatmap pixels."""
    width = heatmaps.shape[-1]
    index = heatmaps.flatten(-2).argmax(-1)
    return torch.stack([index % width, index // width], -1).float()
