"""The demo: where it writes."""

from pathlib import Path

import cv2
import pytest
from common import build
from mmengine.config import Config

from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.demo.run import FIGURE_SHOWN, KEYPOINTS_SHOWN, draw_heatmaps, run_demo, set_data_root
from okdhp_mm.errors import UserError

DEMO = Path(__file__).parents[2] / 'configs' / 'okdhp' / 'demo.py'


def test_all_data_are_where_they_are_put(tmp_path):
    cfg = Config.fromfile(DEMO)
    set_data_root(cfg, tmp_path)
    assert 'demo_out' not in cfg.pretty_text
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        annotations = write_coco(dataset.data_root, split, 1, seed=0)
        assert annotations == Path(dataset.data_root) / dataset.ann_file
    for split in ('val', 'test'):
        assert cfg[f'{split}_evaluator'].metric.ann_file == str(annotations)


def test_the_default_is_what_the_config_says():
    cfg = Config.fromfile(DEMO)
    set_data_root(cfg, Path('demo_out') / 'data')
    assert cfg.to_dict() == Config.fromfile(DEMO).to_dict()


def test_heatmaps_are_drawn_of_a_figure_that_is_validated(tmp_path):
    cfg = Config.fromfile(DEMO)
    set_data_root(cfg, tmp_path)
    write_coco(tmp_path, 'val', FIGURE_SHOWN + 1, seed=0)
    draw_heatmaps(cfg, build(cfg.model), tmp_path / 'heatmaps.png')
    height, width, _ = cv2.imread(str(tmp_path / 'heatmaps.png')).shape
    # Branches, ensemble and target side by side, of crops that are half as high again as wide.
    cell = (width - 100) / (cfg.model.branches + 2)
    assert height == pytest.approx(len(KEYPOINTS_SHOWN) * 1.5 * cell, rel=0.1)


@pytest.mark.parametrize(
    ('there', 'reason'),
    [('data/train2017', 'holds something other than 1000 drawn figures'), ('data', 'data')],
)
def test_a_folder_that_is_taken_is_told(tmp_path, there, reason):
    cfg = Config.fromfile(DEMO)
    set_data_root(cfg, tmp_path / 'data')
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text('mine')
    with pytest.raises(UserError, match=f'cannot be written to {tmp_path}/data/ .*{reason}'):
        run_demo(cfg, tmp_path)
