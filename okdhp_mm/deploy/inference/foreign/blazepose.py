"""BlazePose: MediaPipe's body landmarks, ``pose_landmark_{lite,full,heavy}.tflite``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..boxes import Boxes
from .adapter import Adapter
from .engine import Crop, ForeignEngine, person_of
from .runtimes import open_runtime

SIDES = ('left', 'right')
FACE = ('nose', *(f'{side}_eye{part}' for side in SIDES for part in ('_inner', '', '_outer')))
NAMES = (
    *FACE,
    *('left_ear', 'right_ear', 'mouth_left', 'mouth_right'),
    *(f'{side}_{part}' for part in ('shoulder', 'elbow', 'wrist') for side in SIDES),
    *(f'{side}_{part}' for part in ('pinky', 'index', 'thumb') for side in SIDES),
    *(
        f'{side}_{part}'
        for part in ('hip', 'knee', 'ankle', 'heel', 'foot_index')
        for side in SIDES
    ),
)
"""The 33 landmarks. COCO's and MPII's limbs have the same names."""
LIMBS = (('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle'))
SKELETON = (
    *((f'{side}_{start}', f'{side}_{end}') for side in SIDES for start, end in LIMBS),
    *(('left_shoulder', 'right_shoulder'), ('left_hip', 'right_hip')),
    *((f'{side}_shoulder', f'{side}_hip') for side in SIDES),
)
BLAZEPOSE = Adapter(
    keypoint_names=NAMES,
    output='points',
    input_size=(256, 256),
    mean=(0, 0, 0),
    std=(255, 255, 255),
    # On 60 LSPET persons, the full model had a PCKh of 44 with 1.25, 51 with 1.5, 49 with 1.75.
    padding=1.5,
    outputs=('Identity',),
    columns=('x', 'y', 'z', 'score', 'presence'),
    sigmoid=True,
    skeleton=SKELETON,
)
PERSON = 'Identity_1'
"""Output with the probability that the crop has a person."""
CENTER, TOP = 33, 34
"""Two more points: the middle of the hips, and one on a circle around the person, above it."""
AROUND = 1.25
"""Size of the crop relative to that circle."""
SURE = 0.9
STARTS = (0, 90, 180, 270)
"""Rotations of the first crop in degrees. Those after 0 are tried if the model is not sure."""


class BlazePoseEngine(ForeignEngine):
    """BlazePose as a tracker runs it: a first crop, and a second one that the first result turns.

    The model was trained on upright persons of a fixed size in the crop. Its regressed points are
    used, not its heatmaps.

    Args:
        file: The TFLite file.

    Raises:
        UserError: If it cannot be run, or is another model.
    """

    def __init__(self, file: Path):
        super().__init__(file, open_runtime(file), BLAZEPOSE)

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> list[dict]:
        """Find the poses in an image, see :class:`~..engines.Engine`."""
        height, width = image.shape[:2]
        boxes = [[0, 0, width, height]] if boxes is None else boxes
        return [self.pose(image, np.asarray(box, np.float32)) for box in boxes]

    def pose(self, image: np.ndarray, box: np.ndarray) -> dict:
        """Find the pose in a box."""
        best: tuple[float, dict] = (-1.0, {})
        side = np.full(2, (box[2:] - box[:2]).max() * self.adapter.padding)
        for angle in STARTS:
            crop = self.warp(image, (box[:2] + box[2:]) / 2, side, angle)
            crop = self.turned(image, crop)
            outputs = self.runtime(crop.pixels[None])
            sure = float(outputs[PERSON].reshape(-1)[0])
            points, scores = self.decode([array[0] for array in self.chosen(outputs)])
            if sure > best[0]:
                best = sure, person_of(box, crop, points, scores * sure)
            if sure >= SURE:
                break
        return best[1]

    def turned(self, image: np.ndarray, crop: Crop) -> Crop:
        """Return the crop in which the person found in another crop stands upright."""
        found = self.chosen(self.runtime(crop.pixels[None]))[0][0]
        places = found.reshape(-1, len(self.adapter.columns))[[CENTER, TOP], :2]
        center, top = crop.to_image(places)
        up = top - center
        side = np.full(2, 2 * AROUND * max(float(np.hypot(*up)), 1.0))
        angle = float(np.degrees(np.arctan2(up[0], -up[1])))
        return self.warp(image, center, side, angle)
