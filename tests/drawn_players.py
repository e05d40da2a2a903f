"""Pictures with several drawn persons of seven keypoints, and their COCO JSON."""

import cv2
import numpy as np

NAMES = ['head', 'hand_l', 'hand_r', 'hip', 'foot_l', 'foot_r', 'ball']


def several_persons(pictures=5, persons=3):
    """Content of a COCO JSON with seven keypoints and several persons per picture."""
    random = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(1, pictures + 1):
        images.append(dict(id=index, file_name=f'img {index}.png', width=120, height=80))
        for _ in range(persons):
            x, y = random.uniform(10, 50, 2)
            points = random.uniform((x, y), (x + 50, y + 25), (7, 2))
            entry = dict(id=len(annotations) + 1, image_id=index, category_id=4, iscrowd=0)
            flat = np.column_stack([points, np.full(7, 2)]).ravel().tolist()
            box = [x, y, 50, 25]
            annotations.append(entry | dict(keypoints=flat, num_keypoints=7, bbox=box, area=1250.0))
    category = dict(id=4, name='player', keypoints=NAMES, skeleton=[[1, 4], [2, 1]])
    return dict(images=images, annotations=annotations, categories=[category])


def write_pictures(folder, content):
    """Draw each person's keypoints on noise."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(1)
    for image in content['images']:
        picture = random.integers(0, 80, (80, 120, 3), np.uint8)
        for entry in content['annotations']:
            if entry['image_id'] == image['id']:
                for k, (x, y, _) in enumerate(np.reshape(entry['keypoints'], (-1, 3))):
                    cv2.circle(picture, (int(x), int(y)), 3, (30 * k, 255 - 30 * k, 255), -1)
        cv2.imwrite(str(folder / image['file_name']), picture)
