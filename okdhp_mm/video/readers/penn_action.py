"""Penn Action: labels of MATLAB files to COCO-like files with videos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ...errors import UserError, as_user_error
from ...io.atomic import write_text

KEYPOINTS = (
    'head',
    *(f'{side}_{joint}' for joint in ('shoulder', 'elbow', 'wrist') for side in ('left', 'right')),
    *(f'{side}_{joint}' for joint in ('hip', 'knee', 'ankle') for side in ('left', 'right')),
)


def convert_penn_action(folder: str | Path) -> dict[str, Path]:
    """Write ``train.json`` and ``test.json`` of the official split into the dataset's folder.

    Penn Action (Zhang et al., ICCV 2013) has one person per video. A box is that of the file,
    joined with the box of the visible joints, because some files have no box in some frames.

    Args:
        folder: The dataset: ``labels/0001.mat`` and so on, ``frames/0001/000001.jpg`` and so on.

    Returns:
        Path of each file by its split.

    Raises:
        UserError: If the folder has no labels, or a file is not one of Penn Action.
    """
    folder = Path(folder)
    files = sorted((folder / 'labels').glob('*.mat'))
    if not files:
        raise UserError(f'{folder}/labels has no .mat files. Name the folder of Penn Action.')
    splits: dict[str, dict] = {
        name: dict(images=[], annotations=[], categories=[category()]) for name in ('train', 'test')
    }
    for file in files:
        with as_user_error(f'{file} is not a label file of Penn Action', Exception):
            labels = loadmat(file)
            split = splits['train' if int(labels['train'].item()) == 1 else 'test']
            _add_video(split, file.stem, labels)
    written = {name: folder / f'{name}.json' for name in splits}
    for name, target in written.items():
        write_text(target, json.dumps(splits[name]))
    return written


def category() -> dict:
    """Return the category of the annotations."""
    return dict(id=1, name='person', keypoints=list(KEYPOINTS), skeleton=[])


def _add_video(split: dict, name: str, labels: dict) -> None:
    height, width = (int(value) for value in labels['dimensions'].ravel()[:2])
    boxes = np.asarray(labels['bbox'], float)
    for frame, (x, y, visible) in enumerate(
        zip(labels['x'], labels['y'], labels['visibility'], strict=True)
    ):
        image_id = len(split['images']) + 1
        split['images'].append(
            dict(
                id=image_id,
                file_name=f'frames/{name}/{frame + 1:06}.jpg',
                vid_id=name,
                frame_id=frame + 1,
                width=width,
                height=height,
            )
        )
        seen = np.asarray(visible) > 0
        if not seen.any():
            continue
        # MATLAB counts pixels from 1.
        points = np.stack((x, y), -1).astype(float) - 1
        corners = [points[seen]]
        if frame < len(boxes) and np.isfinite(boxes[frame]).all():
            corners.append(boxes[frame].reshape(2, 2) - 1)
        low, high = np.concatenate(corners).min(0), np.concatenate(corners).max(0)
        keypoints = np.column_stack((points, 2 * seen)) * seen[:, None]
        split['annotations'].append(
            dict(
                id=image_id,
                image_id=image_id,
                category_id=1,
                track_id=0,
                keypoints=keypoints.ravel().tolist(),
                num_keypoints=int(seen.sum()),
                bbox=[*low.tolist(), *(high - low).tolist()],
                iscrowd=0,
            )
        )
