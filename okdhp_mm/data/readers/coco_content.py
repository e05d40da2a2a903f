"""Build the content of a COCO JSON from the labels of another tool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Point = tuple[float, float, int]
"""x, y and visibility: 0 not labeled, 1 hidden, 2 visible."""
VISIBLE = 2


@dataclass
class CocoContent:
    """Images and annotations of one category.

    Attributes:
        name: Name of the category.
        keypoints: Names of its keypoints.
        skeleton: Pairs of keypoints to draw a line between, counted from 1.
        images: Entries of the pictures.
        annotations: Entries of the persons or animals.
    """

    name: str
    keypoints: Sequence[str]
    skeleton: Sequence[Sequence[int]] = ()
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)

    def add_image(self, file: str, width: float, height: float) -> None:
        """Add a picture."""
        entry = dict(id=len(self.images) + 1, file_name=file, width=width, height=height)
        self.images.append(entry)

    def add_instance(self, points: Mapping[str, Point], box: Sequence[float] | None) -> None:
        """Add a person or an animal to the last picture.

        Args:
            points: The labeled keypoints by name.
            box: x, y, width and height; None if the file has no box.
        """
        flat = [value for name in self.keypoints for value in points.get(name, (0, 0, 0))]
        entry = dict(
            id=len(self.annotations) + 1,
            image_id=self.images[-1]['id'],
            category_id=1,
            keypoints=flat,
            num_keypoints=sum(visibility > 0 for visibility in flat[2::3]),
            iscrowd=0,
        )
        if box is not None:
            entry |= dict(bbox=list(box), area=box[2] * box[3])
        self.annotations.append(entry)

    @property
    def content(self) -> dict:
        """Content of the COCO JSON."""
        names, links = list(self.keypoints), [list(link) for link in self.skeleton]
        category = dict(id=1, name=self.name, keypoints=names, skeleton=links)
        return dict(images=self.images, annotations=self.annotations, categories=[category])


def enclosing_box(
    box: Sequence[float], degrees: float = 0, around: Sequence[float] = (0, 0)
) -> list[float]:
    """Return the upright box (x, y, width, height) around a rotated one.

    Args:
        box: x, y, width and height before the rotation.
        degrees: Clockwise rotation.
        around: Center of the rotation, from the corner of the box, as a share of its size.
    """
    x, y, width, height = box
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    center = np.multiply(around, (width, height))
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    turned = (corners - center) @ np.array([(cosine, sine), (-sine, cosine)]) + center
    lower, upper = turned.min(0) + (x, y), turned.max(0) + (x, y)
    return [float(value) for value in (*lower, *(upper - lower))]
