"""Dataset of persons without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS


@DATASETS.register_module()
class UnlabeledDataset(BaseCocoStyleDataset):
    """Persons with a box in COCO's layout whose keypoints are unknown.

    Keypoints in the file are not read, so a labeled file can serve as an unlabeled one. Crowds and
    boxes without an area are left out. The targets of the data pipeline are empty, and the samples
    are marked by ``unlabeled=True`` in their metainfo. Combine it with the labeled dataset by
    mmengine's ``ConcatDataset`` and :class:`~okdhp_mm.datasets.MixedSampler`.
    """

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Return a person without its keypoints, or None for a crowd or an empty box."""
        person, image = raw_data_info['raw_ann_info'], raw_data_info['raw_img_info']
        if 'bbox' not in person or person.get('iscrowd'):
            return None
        x, y, width, height = person['bbox']
        if width <= 0 or height <= 0:
            return None
        count = self.metainfo['num_keypoints']
        return dict(
            img_id=person['image_id'],
            img_path=image['img_path'],
            bbox=np.array([[x, y, x + width, y + height]], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
            keypoints=np.zeros((1, count, 2), dtype=np.float32),
            keypoints_visible=np.zeros((1, count), dtype=np.float32),
            id=person['id'],
            category_id=person.get('category_id', 1),
            area=np.array(width * height, dtype=np.float32),
            iscrowd=0,
            segmentation=None,
        )

    def _get_topdown_data_infos(self, instance_list: list[dict]) -> list[dict]:
        # mmpose's would drop all of them, because no keypoint is labeled.
        return instance_list

    def prepare_data(self, idx: int) -> Any:
        """Return a sample that is marked as unlabeled."""
        packed = super().prepare_data(idx)
        if packed is not None:
            packed['data_samples'].set_metainfo(dict(unlabeled=True))
        return packed
