"""The pose that is the same for everybody."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from drawn_mpii import write_mpii

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pck(tmp_path, monkeypatch, capsys):
    """The PCK that the command prints for the drawn persons."""
    main = runpy.run_path(str(ROOT / 'benchmarks' / 'constant_pose.py'))['main']
    for split, number in (('train', 6), ('val', 6)):
        write_mpii(tmp_path, split, number)
    data = [f'{split}_dataloader.dataset.data_root={tmp_path}/' for split in ('train', 'test')]
    boxes = f'test_dataloader.dataset.headbox_file={tmp_path}/annotations/mpii_gt_val.mat'
    config = ROOT / 'configs' / 'okdhp' / 'resnet18_mpii_128x128.py'

    def run(*options):
        command = ['constant_pose.py', str(config), '--cfg-options', *data, boxes, *options]
        monkeypatch.setattr(sys, 'argv', command)
        main()
        lines = dict(line.rsplit(' ', 1) for line in capsys.readouterr().out.splitlines())
        return float(lines['PCK'])

    return run


@pytest.mark.slow
def test_it_is_right_where_all_persons_are_the_same_and_wrong_elsewhere(pck, tmp_path):
    assert 5 < pck() < 90
    for split in ('train', 'val'):
        file = tmp_path / 'annotations' / f'mpii_{split}.json'
        first, *others = json.loads(file.read_text())
        if split == 'train':
            shown = first
        file.write_text(json.dumps([shown] * (1 + len(others))))
    assert pck() == 100


def test_an_option_that_has_no_place_is_told(pck):
    with pytest.raises(SystemExit, match='error: --cfg-options codec.type.x=1 cannot be merged'):
        pck('codec.type.x=1')
