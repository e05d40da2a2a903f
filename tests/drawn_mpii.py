"""Drawn persons in MPII's format."""

import json

import numpy as np
from scipy.io import savemat

from okdhp_mm.datasets.synthetic import write_coco

# MPII's keypoints are means of these keypoints of COCO.
SOURCES = [
    [16], [14], [12], [11], [13], [15], [11, 12], [5, 6], [5, 6], [0], [10], [8], [6], [5], [7], [9]
]  # fmt: skip


def write_mpii(root, split, number, seed=0):
    """Drawn COCO figures in MPII's format; the head is as long as the trunk is wide."""
    write_coco(root, split, number, seed=seed)
    coco = json.loads((root / 'annotations' / f'person_keypoints_{split}2017.json').read_text())
    files = {image['id']: image['file_name'] for image in coco['images']}
    persons, boxes = [], []
    for annotation in coco['annotations']:
        keypoints = np.array(annotation['keypoints'], float).reshape(-1, 3)
        joints = np.array([keypoints[source].mean(0) for source in SOURCES])
        x, y, width, height = annotation['bbox']
        persons.append(
            dict(
                image=f'{annotation["image_id"] + (1000 if split == "val" else 0)}.jpg',
                center=[x + width / 2, y + height / 2],
                scale=max(width, height) / 200,
                joints=joints[:, :2].tolist(),
                joints_vis=(joints[:, 2] > 0).astype(int).tolist(),
            )
        )
        source = root / f'{split}2017' / files[annotation['image_id']]
        (root / 'images').mkdir(exist_ok=True)
        (root / 'images' / persons[-1]['image']).write_bytes(source.read_bytes())
        boxes.append([[0, 0], [20, 20]])
    (root / 'annotations' / f'mpii_{split}.json').write_text(json.dumps(persons))
    if split == 'val':
        savemat(root / 'annotations' / 'mpii_gt_val.mat', dict(headboxes_src=np.dstack(boxes)))
