"""The config of few labels on LSPET: disjoint persons, and a network that fits."""

import json

from lspet_labels import TEST, TRAIN, stock_config
from mmengine.config import Config
from mmpose.registry import DATASETS, MODELS

from okdhp_mm.recipes.convert import convert_config


def test_the_config_trains_on_persons_that_are_not_reported(data_root, tmp_path):
    stock = stock_config(data_root / 'lspet', tmp_path, (96, 96), None)
    parts = [json.loads((tmp_path / f'{name}.json').read_text()) for name in ('train', 'test')]
    assert list(map(len, parts)) == [TRAIN, TEST]
    assert not {p['image'] for p in parts[0]} & {p['image'] for p in parts[1]}
    convert_config(str(stock), tmp_path / 'mobilenetv2.py', 3, 'layer2')
    cfg = Config.fromfile(tmp_path / 'mobilenetv2.py')
    sample = DATASETS.build(cfg.train_dataloader.dataset)[0]
    assert sample['inputs'].shape == (3, 96, 96)
    assert sample['data_samples'].gt_fields.heatmaps.shape == (16, 24, 24)
    assert DATASETS.build(cfg.val_dataloader.dataset)[0]['inputs'].shape == (3, 96, 96)
    assert len(MODELS.build(cfg.model).head.branches) == 3
