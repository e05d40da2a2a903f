"""Draw articulated human figures with numpy and OpenCV: a dataset without files.

A figure is a skeleton of 3-D joints with joint-angle limits. Its parts are painted from far to
near. The painter also keeps a map of *which part owns each pixel*. The visibility of a keypoint is
read from that map, so labels are true by construction.

Axes of the body, in units of its standing height: x to the person's left, y up, z forward. The
camera looks along -z (orthographic), so a larger z is nearer.
"""

from .coco import write_coco
from .figure import Figure, draw_figure
from .skeleton import KEYPOINTS, OWNERS, SKELETON, Part, visibility_of

__all__ = [
    'KEYPOINTS',
    'OWNERS',
    'SKELETON',
    'Figure',
    'Part',
    'draw_figure',
    'visibility_of',
    'write_coco',
]
