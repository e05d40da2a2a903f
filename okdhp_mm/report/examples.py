"""Pictures of a few validation samples: the truth next to the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.structures import PoseDataSample

from ..engine.hooks.heatmap_vis import in_crop
from ..errors import UserError
from ..keypoint_names import names_of
from ..visualization import draw_pose

HEIGHT = 300
"""Height of a picture in pixels."""
GAP = 6


def example_pictures(
    model: BasePoseEstimator, dataset: BaseDataset, count: int
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield pictures of samples spread over a dataset, BGR, with their captions.

    Args:
        model: The model as it is deployed, without the wrapper of a distributed run.
        dataset: Validation data of a top-down model.
        count: Number of samples, at most.

    Raises:
        UserError: If the samples are not crops of one person.
    """
    model.eval()
    for index in np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)):
        item = dataset[int(index)]
        meta = item['data_samples'].metainfo
        if not {'input_center', 'input_scale', 'input_size'} <= meta.keys():
            raise UserError('The samples are whole images; only crops of one person are drawn.')
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([item]))
        crop = item['inputs'].permute(1, 2, 0).numpy()
        yield side_by_side(crop, sample, dataset.metainfo), caption(sample)


def side_by_side(crop: np.ndarray, sample: PoseDataSample, metainfo: dict) -> np.ndarray:
    """Return the crop twice: with the true and with the predicted keypoints.

    Boxes of a detector have no truth; then the left picture is the plain crop.
    """
    scale = HEIGHT / crop.shape[0]
    size = (round(crop.shape[1] * scale), HEIGHT)
    image = cv2.resize(np.ascontiguousarray(crop), size, interpolation=cv2.INTER_CUBIC)
    style = dict(skeleton=metainfo['skeleton_links'], keypoint_names=names_of(metainfo))
    truth, found = sample.gt_instances, sample.pred_instances
    left = image.copy()
    if truth.keypoints.any():
        points = in_crop(truth.keypoints[0], sample.metainfo) * scale
        left = draw_pose(image, points, truth.keypoints_visible[0], **style)
    right = draw_pose(image, in_crop(found.keypoints[0], sample.metainfo) * scale, **style)
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    return np.hstack([left, gap, right])


def caption(sample: PoseDataSample) -> str:
    """Return the name of the image, and the mean score of the prediction."""
    score = float(np.mean(sample.pred_instances.keypoint_scores))
    return f'{Path(sample.metainfo.get("img_path", "")).name}, mean score {score:.2f}'
