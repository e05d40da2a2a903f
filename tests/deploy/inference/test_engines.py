"""Engines of mmpose's models: configs that lack what mmpose's inferencer reads."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from students import write_student

from okdhp_mm.deploy.inference.engines import ModelEngine
from okdhp_mm.errors import UserError


def test_a_training_config_needs_no_entries_for_the_inferencer(pictures, tmp_path):
    folder = write_student(tmp_path)
    image = cv2.imread(str(pictures / '0.png'))
    expected = ModelEngine(folder / 'student.py', folder / 'student.pth', 'cpu')(image, None)
    cfg = Config.fromfile(folder / 'student.py')
    for key in ('data_mode', 'dataset_type', 'visualizer'):
        cfg.pop(key, None)
    cfg.dump(bare := tmp_path / 'bare.py')
    (found,) = ModelEngine(bare, folder / 'student.pth', 'cpu')(image, None)
    assert np.array_equal(found['keypoints'], expected[0]['keypoints'])
    cfg.pop('test_dataloader')
    cfg.dump(bare)
    message = r'Running .*bare.py requires test_dataloader.dataset, which is missing'
    with pytest.raises(UserError, match=message):
        ModelEngine(bare, folder / 'student.pth', 'cpu')
