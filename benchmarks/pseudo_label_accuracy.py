"""Measure the PCKh@0.5 that pseudo-labels reach on annotations in MPII's layout.

    python benchmarks/pseudo_label_accuracy.py pose_landmark_full.tflite --root data/lspet \
        --first 100 --count 100

Compares the keypoints that a model and the annotations have by equal names, in the boxes of the
annotations, and also those with high scores alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmpose.datasets.datasets.body import MpiiDataset

import okdhp_mm  # noqa: F401  (makes mmpose importable, registers)  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.data.keypoint_mapping import map_keypoints
from okdhp_mm.deploy.inference.engines import Engine
from okdhp_mm.deploy.inference.foreign.build import FORMS, build_engine

SCORES = (0.0, 0.3, 0.9)
WITHOUT = ('pelvis', 'thorax', 'upper_neck', 'head_top')
"""Keypoints that other sets define differently."""


def main() -> None:
    """Parse, find the keypoints, and print a line for each least score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', nargs='+', help=FORMS)
    parser.add_argument('--root', type=Path, required=True, help='images/ and annotations/')
    parser.add_argument('--first', type=int, default=0, help='number of the first person')
    parser.add_argument('--count', type=int, default=100, help='number of persons')
    args = parser.parse_args()
    with errors_in_one_sentence():
        persons = MpiiDataset(
            data_root=str(args.root),
            ann_file='annotations/mpii_val.json',
            data_prefix=dict(img='images/'),
            headbox_file=str(args.root / 'annotations' / 'mpii_gt_val.mat'),
            test_mode=True,
            indices=list(range(args.first, args.first + args.count)),
        )
        distances, scores = measure(build_engine(args.model), persons)
    for least in SCORES:
        kept = scores >= least
        right = (distances[kept] <= 0.5).mean() if kept.any() else 0
        print(f'score >= {least:g}: PCKh@0.5 {right:.1%} of {kept.mean():.0%} of the keypoints')


def measure(engine: Engine, persons: MpiiDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of labeled keypoints in head sizes, and their scores, (N,) each."""
    names = [persons.metainfo['keypoint_id2name'][k] for k in range(16)]
    indices = map_keypoints(names, engine.keypoint_names, dict.fromkeys(WITHOUT), 'model')
    common = [(own, other) for own, other in enumerate(indices) if other is not None]
    found = [one_person(engine, persons.get_data_info(i), common) for i in range(len(persons))]
    distances, scores = np.concatenate(found).T
    return distances, scores


def one_person(engine: Engine, person: dict, common: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return distance and score of the common keypoints of a person that are labeled, (n, 2)."""
    image = cv2.imread(person['img_path'])
    (pose,) = engine(image, person['bbox'].tolist())
    points, scores = np.array(pose['keypoints']), np.array(pose['keypoint_scores'])
    truth, visible = person['keypoints'][0], person['keypoints_visible'][0]
    (head,) = np.ravel(person['head_size'])
    rows = [
        (np.linalg.norm(points[other] - truth[own]) / head, scores[other])
        for own, other in common
        if visible[own]
    ]
    return np.reshape(np.array(rows, float), (-1, 2))


if __name__ == '__main__':
    main()
