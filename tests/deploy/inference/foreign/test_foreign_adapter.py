"""Adapters of foreign models: what is refused."""

import json

import pytest

from okdhp_mm.deploy.inference.foreign.adapter import read_adapter
from okdhp_mm.errors import UserError

GOOD = dict(keypoint_names=['nose', 'tail'], output='heatmaps', input_size=[64, 96])


def read(tmp_path, **changes):
    file = tmp_path / 'adapter.json'
    entries = GOOD | changes
    file.write_text(json.dumps({k: v for k, v in entries.items() if v != 'missing'}))
    return read_adapter(file)


def test_few_entries_are_enough(tmp_path):
    adapter = read(tmp_path, skeleton=[['tail', 'nose']])
    assert adapter.links == [[1, 0]]
    assert adapter.channels == 'RGB'


@pytest.mark.parametrize(
    'changes, match',
    [
        (dict(output='missing'), '`output` is missing. An adapter needs keypoint_names, output'),
        (dict(colour='RGB'), '`colour` does not exist. Use keypoint_names'),
        (dict(keypoint_names=['a', 'a']), '`keypoint_names` is .* list of different names'),
        (dict(keypoint_names=[]), '`keypoint_names` is'),
        (dict(output='boxes'), "`output` is 'boxes', but must be one of heatmaps, simcc, points"),
        (dict(input_size=[64]), r'`input_size` is \[64\]'),
        (dict(input_size=[64, -1]), r'`input_size` is \[64, -1\]'),
        (dict(std=[1, 1, 0]), r'`std` is \[1, 1, 0\], but must be three numbers'),
        (dict(mean='ImageNet'), "`mean` is 'ImageNet'"),
        (dict(channels='GBR'), "`channels` is 'GBR'"),
        (dict(padding=0), '`padding` is 0'),
        (dict(columns=['y', 'z']), "`columns` is .*must be a list with 'x' and 'y'"),
        (dict(unit='meter'), "`unit` is 'meter'"),
        (dict(sigmoid=1), '`sigmoid` is 1'),
        (dict(outputs=[1]), r'`outputs` is \[1\]'),
        (dict(skeleton=[['nose', 'ear']]), r"`skeleton` has \['nose', 'ear'\]"),
    ],
)
def test_wrong_entries_are_refused(tmp_path, changes, match):
    with pytest.raises(UserError, match=match):
        read(tmp_path, **changes)


def test_a_list_is_refused(tmp_path):
    (tmp_path / 'adapter.json').write_text('[]')
    with pytest.raises(UserError, match='holds a list, but an adapter is an object'):
        read_adapter(tmp_path / 'adapter.json')
