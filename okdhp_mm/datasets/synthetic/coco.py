"""Write figures as a COCO dataset."""

import json
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np

from .figure import Figure, draw_figure
from .skeleton import KEYPOINTS, SKELETON

_VERSION = 2  # of the drawings: raise it whenever equal seeds stop giving equal pictures


def write_coco(folder: str | Path, split: str, num_images: int, seed: int) -> Path:
    """Write figures as COCO person keypoints.

    The layout is COCO's own: `annotations/person_keypoints_<split>2017.json` and
    `<split>2017/*.jpg` below `folder`. A complete set of the same parameters is left as it is.

    Args:
        folder: made if it is not there.
        split: 'train' or 'val'; the two never share a figure, whatever the seeds.
        num_images: how many, one person each.
        seed: of the figures.

    Returns:
        The annotation file.

    Raises:
        FileExistsError: the folder holds something else where the set should go.
    """
    if split not in ('train', 'val'):
        raise ValueError(f"split must be 'train' or 'val', not {split!r}")
    folder = Path(folder)
    images, annotation = _coco_paths(folder, split)
    info = _coco_info(split, num_images, seed)
    if _is_complete(annotation, images, info):
        return annotation
    for path in (images, annotation):
        if path.exists():
            raise FileExistsError(
                f'{path} holds something other than {num_images} drawn figures of seed {seed}: '
                'choose another folder, or remove it'
            )
    annotation.parent.mkdir(parents=True, exist_ok=True)
    # Whatever is interrupted leaves only a hidden folder, which the next call replaces.
    partial = folder / f'.{images.name}.partial'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    content = _draw_set(partial, split, num_images, seed)
    partial_annotation = partial.with_suffix('.json')
    partial_annotation.write_text(json.dumps({'info': info, **content}))
    partial.rename(images)
    partial_annotation.rename(annotation)
    return annotation


def _coco_paths(folder: Path, split: str) -> tuple[Path, Path]:
    name = f'{split}2017'
    return folder / name, folder / 'annotations' / f'person_keypoints_{name}.json'


def _coco_info(split: str, num_images: int, seed: int) -> dict:
    return {
        'description': 'human figures drawn by okdhp_mm',
        'version': _VERSION,
        'split': split,
        'num_images': num_images,
        'seed': seed,
    }


def _is_complete(annotation: Path, images: Path, info: dict) -> bool:
    try:
        content = json.loads(annotation.read_text())
        return content['info'] == info and all(
            (images / image['file_name']).is_file() for image in content['images']
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _draw_set(folder: Path, split: str, num_images: int, seed: int) -> dict:
    content = {
        'images': [],
        'annotations': [],
        'categories': [
            {
                'id': 1,
                'name': 'person',
                'supercategory': 'person',
                'keypoints': list(KEYPOINTS),
                'skeleton': [[a + 1, b + 1] for a, b in SKELETON],
            }
        ],
    }
    for index in range(1, num_images + 1):
        rng = np.random.default_rng([zlib.crc32(split.encode()), seed, index])
        figure = draw_figure(rng)
        name = f'{index:012d}.jpg'
        cv2.imwrite(str(folder / name), figure.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        height, width = figure.image.shape[:2]
        content['images'].append({'id': index, 'file_name': name, 'height': height, 'width': width})
        content['annotations'].append(_annotation(figure, index))
    return content


def _annotation(figure: Figure, index: int) -> dict:
    labeled = figure.visibility > 0
    xyv = np.column_stack((figure.keypoints.round(2), figure.visibility))
    xyv[~labeled] = 0
    mask = figure.silhouette.astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # mmpose copies every annotation for every sample: few corners keep its pipeline quick.
    contours = [cv2.approxPolyDP(contour, 1.0, True) for contour in contours]
    return {
        'id': index,
        'image_id': index,
        'category_id': 1,
        'iscrowd': 0,
        'bbox': figure.bbox.tolist(),
        'area': int(figure.silhouette.sum()),
        # Three corners are the fewest that make a polygon.
        'segmentation': [c.ravel().tolist() for c in contours if len(c) >= 3],
        'num_keypoints': int(labeled.sum()),
        'keypoints': xyv.ravel().tolist(),
    }
