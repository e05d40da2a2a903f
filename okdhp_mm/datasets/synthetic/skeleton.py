"""COCO keypoints, the painted parts of a person, and which part shows which keypoint."""

from enum import IntEnum

import numpy as np

KEYPOINTS = (
    'nose',
    'left_eye',
    'right_eye',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
# COCO's own list, counted from 0 (the annotation file counts from 1).
SKELETON = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
)
# The person's own sides -> the sign of x.
SIDES = {'left': 1, 'right': -1}


class Part(IntEnum):
    """Owner of a pixel."""

    BACKGROUND = 0
    OCCLUDER = 1
    TORSO = 2
    PELVIS = 3
    NECK = 4
    HEAD = 5
    NOSE = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    LEFT_UPPER_ARM = 9
    RIGHT_UPPER_ARM = 10
    LEFT_FOREARM = 11
    RIGHT_FOREARM = 12
    LEFT_THIGH = 13
    RIGHT_THIGH = 14
    LEFT_SHANK = 15
    RIGHT_SHANK = 16
    LEFT_FOOT = 17
    RIGHT_FOOT = 18

    @classmethod
    def of(cls, side: str, name: str) -> 'Part':
        """Find a part that exists twice, say 'left' and 'forearm'."""
        return cls[f'{side}_{name}'.upper()]


# A keypoint is seen where one of these parts owns its pixel.
OWNERS = (
    (Part.NOSE,),
    (Part.HEAD,),
    (Part.HEAD,),
    (Part.LEFT_EAR,),
    (Part.RIGHT_EAR,),
    (Part.LEFT_UPPER_ARM, Part.TORSO),
    (Part.RIGHT_UPPER_ARM, Part.TORSO),
    (Part.LEFT_UPPER_ARM, Part.LEFT_FOREARM),
    (Part.RIGHT_UPPER_ARM, Part.RIGHT_FOREARM),
    (Part.LEFT_FOREARM,),
    (Part.RIGHT_FOREARM,),
    (Part.LEFT_THIGH, Part.PELVIS, Part.TORSO),
    (Part.RIGHT_THIGH, Part.PELVIS, Part.TORSO),
    (Part.LEFT_THIGH, Part.LEFT_SHANK),
    (Part.RIGHT_THIGH, Part.RIGHT_SHANK),
    (Part.LEFT_SHANK, Part.LEFT_FOOT),
    (Part.RIGHT_SHANK, Part.RIGHT_FOOT),
)


def visibility_of(parts: np.ndarray, keypoints: np.ndarray, turned_away: np.ndarray) -> np.ndarray:
    """Read COCO visibility flags off the map of parts.

    Args:
        parts: (H, W), the `Part` that owns each pixel.
        keypoints: (17, 2) pixels.
        turned_away: (17,) bool, keypoints on the far side of their own part.

    Returns:
        (17,) int: 2 visible, 1 hidden, 0 outside of the image.
    """
    height, width = parts.shape
    flags = np.zeros(len(KEYPOINTS), int)
    for k, (x, y) in enumerate(np.rint(keypoints).astype(int)):
        if 0 <= x < width and 0 <= y < height:
            flags[k] = 2 if parts[y, x] in OWNERS[k] and not turned_away[k] else 1
    return flags
