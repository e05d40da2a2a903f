"""Tiny annotated videos: two dots that move, as a COCO-like file with pictures."""

import json

import cv2
import numpy as np

KEYPOINTS = 3
SIZE = 64
NAMES = ('left', 'right', 'middle')
METAINFO = dict(
    dataset_name='dots',
    paper_info=dict(),
    keypoint_info={
        i: dict(name=name, id=i, color=[0, 0, 0], type='', swap=swap)
        for i, (name, swap) in enumerate(zip(NAMES, ('right', 'left', ''), strict=True))
    },
    skeleton_info={0: dict(link=('left', 'right'), id=0, color=[0, 0, 0])},
    joint_weights=[1.0] * KEYPOINTS,
    sigmas=[0.05] * KEYPOINTS,
)
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.0)


def write_film(folder, videos=2, persons=2, frames=6, absent=(), tracks=True):
    """Write pictures and ``labels.json``.

    ``absent`` has (video, person, frame) of persons that are not labeled.
    """
    images, annotations = [], []
    rng = np.random.default_rng(0)
    for video in range(videos):
        (folder / f'video{video}').mkdir(parents=True)
        for frame in range(frames):
            picture = rng.integers(0, 40, (SIZE, SIZE, 3), np.uint8)
            name = f'video{video}/{frame:04}.png'
            image = dict(id=len(images) + 1, file_name=name, width=SIZE, height=SIZE)
            for person in range(persons):
                x, y = 14 + 30 * person + frame, 20 + 10 * video
                points = np.array([[x - 6, y], [x + 6, y], [x, y + 8]])
                for point, color in zip(points.tolist(), np.eye(3) * 255, strict=True):
                    cv2.circle(picture, point, 2, color.tolist(), -1)
                if (video, person, frame) not in absent:
                    annotations.append(
                        dict(
                            id=len(annotations) + 1,
                            image_id=image['id'],
                            category_id=1,
                            bbox=[x - 12, y - 8, 24, 24],
                            keypoints=np.hstack([points, np.full((3, 1), 2)]).ravel().tolist(),
                            num_keypoints=KEYPOINTS,
                            **(dict(track_id=person) if tracks else {}),
                        )
                    )
            cv2.imwrite(str(folder / name), picture)
            images.append(image)
    categories = [dict(id=1, name='dots')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'labels.json').write_text(json.dumps(content))
    return folder


def film_dataset(folder, augment=(), targets=True):
    """Return the config of the stock dataset of a film."""
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='labels.json',
        data_prefix=dict(img=''),
        metainfo=METAINFO,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale'),
            *augment,
            dict(type='TopdownAffine', input_size=CODEC['input_size']),
            *([dict(type='GenerateTarget', encoder=CODEC)] if targets else []),
            dict(type='PackPoseInputs', pack_transformed=targets),
        ],
    )
