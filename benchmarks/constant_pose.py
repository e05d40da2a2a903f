"""Evaluate one and the same pose for all persons. A network below that score has learned nothing.

    python benchmarks/constant_pose.py configs/okdhp/resnet18_mpii.py --cfg-options \
        train_dataloader.dataset.data_root=data/mpii/ test_dataloader.dataset.data_root=data/mpii/ \
        test_dataloader.dataset.headbox_file=data/mpii/annotations/mpii_gt_val.mat

Each keypoint is put where it lies most often in the crops of the training persons, not augmented,
and the config's own metric says how good that is.
"""

from __future__ import annotations

import argparse

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, KEYPOINT_CODECS
from mmpose.structures import PoseDataSample

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.cli.options import add_cfg_options, merge_options
from okdhp_mm.data.files import check_data
from okdhp_mm.errors import UserError
from okdhp_mm.evaluation.evaluator_config import build_evaluator, map_metrics
from okdhp_mm.io.config import read_config


def main() -> None:
    """Parse, look at the training persons, and evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='training config')
    add_cfg_options(parser)
    args = parser.parse_args()
    with errors_in_one_sentence():
        cfg = read_config(args.config)
        merge_options(cfg, args.cfg_options)
        init_default_scope('mmpose')
        check_data(cfg, 'train', 'test')
        for name, value in evaluate(cfg, frequent_pose(cfg)).items():
            print(f'{name} {value:.2f}')


def frequent_pose(cfg: Config) -> np.ndarray:
    """Return the most frequent place of each keypoint in the training crops, (K, 2), in pixels.

    Raises:
        UserError: If the targets are not heatmaps.
    """
    codec = cfg.model.head.decoder
    *steps, pack = cfg.test_dataloader.dataset.pipeline
    pipeline = [*steps, dict(type='GenerateTarget', encoder=codec), pack]
    dataset = DATASETS.build(cfg.train_dataloader.dataset | dict(pipeline=pipeline))
    total = 0
    for sample in dataset:
        fields = sample['data_samples'].gt_fields
        if 'heatmaps' not in fields:
            raise UserError('constant_pose: the targets are not heatmaps, whose peaks are needed.')
        weights = sample['data_samples'].gt_instance_labels.keypoint_weights
        total += fields.heatmaps * weights.view(-1, 1, 1)
    total /= total.amax((-2, -1), keepdim=True)
    keypoints, _ = KEYPOINT_CODECS.build(codec).decode(total.numpy())
    return keypoints[0]


def evaluate(cfg: Config, pose: np.ndarray) -> dict[str, float]:
    """Return the config's metrics if this pose is predicted in every crop."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    # Without the wrapper for several outputs, because a constant pose is one.
    evaluator = build_evaluator(
        map_metrics(cfg.test_evaluator, lambda metric, key: metric.get('metric', metric))
    )
    evaluator.dataset_meta = dataset.metainfo
    for sample in dataset:
        evaluator.process([placed(sample['data_samples'], pose)])
    return evaluator.evaluate(len(dataset))


def placed(sample: PoseDataSample, pose: np.ndarray) -> PoseDataSample:
    """Return the sample with the pose as its prediction, in pixels of the image."""
    meta = sample.metainfo
    corner = meta['input_center'] - meta['input_scale'] / 2
    keypoints = (pose / meta['input_size'] * meta['input_scale'] + corner)[None]
    sample.pred_instances = InstanceData(
        keypoints=keypoints,
        keypoint_scores=np.ones(keypoints.shape[:2], np.float32),
        bboxes=sample.gt_instances.bboxes,
        bbox_scores=sample.gt_instances.bbox_scores,
    )
    return sample


if __name__ == '__main__':
    main()
