"""The benchmark that converts all stock configs, with a few of them."""

import pytest
from stock_configs import CONVERTED, CRASHED, REFUSED, Result, convert, stock_configs, table

COCO = 'body_2d_keypoint/topdown_heatmap/coco/'


@pytest.mark.parametrize(
    ('config', 'outcome'),
    [
        (f'{COCO}td-hm_shufflenetv2_8xb64-210e_coco-256x192.py', CONVERTED),
        (f'{COCO}td-hm_mspn50_8xb32-210e_coco-256x192.py', REFUSED),
        ('body_2d_keypoint/rtmo/body7/rtmo-s_8xb32-600e_body7-640x640.py', REFUSED),
    ],
)
def test_the_meta_device_gives_the_outcome_of_the_cpu(tmp_path, config, outcome):
    results = [convert(config, device, tmp_path) for device in ('meta', 'cpu')]
    assert results[0] == results[1]
    assert results[0].outcome == outcome


def test_all_stock_configs_are_found():
    configs = stock_configs(())
    assert len(configs) > 400
    assert not any('_base_' in config for config in configs)
    assert stock_configs(['cpm']) == [config for config in configs if 'cpm' in config]


def test_the_table_counts_equal_reasons_together():
    found = [
        Result('a.py', CONVERTED, 'layer2'),
        Result('b.py', CONVERTED, 'whole'),
        Result('c.py', REFUSED, 'The head|of it'),
        Result('d.py', REFUSED, 'The head|of it'),
        Result('e.py', CRASHED, 'ValueError: bad'),
    ]
    lines = table(found).splitlines()
    assert lines[2] == '| 5 | 2 | 1 | 2 | 1 |'
    assert lines[6] == r'| 2 | refused: The head\|of it | c.py |'
    assert {line.split(' | ')[1] for line in lines[7:]} == {
        'converted: whole', 'crashed: ValueError: bad',
    }  # fmt: skip
