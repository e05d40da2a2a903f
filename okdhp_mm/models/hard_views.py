"""Hard views of unlabeled images, one for each branch, and the teacher's keypoints in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..structures import BranchViews
from .augment import PhotometricViews
from .geometry import inverse, warp
from .heads.adapters import HeadAdapter


@dataclass(frozen=True)
class MovedTeacher:
    """Hard views and what the teacher found, in each view.

    Attributes:
        images: One view for each branch.
        places: Peaks of the teacher's maps in pixels of the view, (M, B, K, 2).
        heights: Heights of the peaks, (M, B, K).
        inside: Whether a peak is in the view, (M, B, K).
        maps: The teacher's maps, (M, B, K, H, W), if they were asked to be moved.
    """

    images: BranchViews
    places: Tensor
    heights: Tensor
    inside: Tensor
    maps: Tensor | None = None


class HardViews(nn.Module):
    """Augmentation of unlabeled images: geometry, colors, a hidden rectangle, hidden joints.

    PoseDual (Xie et al., ICCV 2021, https://arxiv.org/abs/2011.12498) found that a student must
    see a harder view than its teacher, or both collapse to empty heatmaps. The teacher's maps are
    moved by the same matrix as the image, and mirrored keypoints are swapped. If whole maps of a
    SimCC head are moved, the images are not rotated, because these distributions cannot be.

    Args:
        rotation: Largest angle in degrees.
        scale: Largest relative change of the size, in [0, 1). A moved map is scaled with its
            image, so its peak becomes a little wider or narrower than a label.
        shift: Largest shift as a share of the image side, in [0, 1).
        flip: Share of mirrored images. Without flip pairs, no image is mirrored.
        joints: Mean number of joints of an image that are hidden by a square.
        joint_size: Side of that square as a share of the longer image side.
        photometric: Arguments of :class:`~okdhp_mm.models.augment.PhotometricViews`.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self,
        rotation: float = 30.0,
        scale: float = 0.25,
        shift: float = 0.1,
        flip: float = 0.5,
        joints: float = 2.0,
        joint_size: float = 0.12,
        photometric: dict | None = None,
    ):
        super().__init__()
        shares = dict(scale=scale, shift=shift, joint_size=joint_size)
        wrong = {name: share for name, share in shares.items() if not 0 <= share < 1}
        wrong |= {} if 0 <= flip <= 1 else dict(flip=flip)
        wrong |= {name: n for name, n in dict(rotation=rotation, joints=joints).items() if n < 0}
        if wrong:
            raise UserError(
                f'HardViews: {wrong} is out of range. rotation and joints must not be negative, '
                'flip must be in [0, 1], the others in [0, 1).'
            )
        self.rotation = math.radians(rotation)
        self.scale = scale
        self.shift = shift
        self.flip = flip
        self.joints = joints
        self.joint_size = joint_size
        self.photometric = PhotometricViews(**(photometric or {}))

    @torch.no_grad()
    def forward(
        self,
        images: Tensor,
        maps: Tensor,
        adapter: HeadAdapter,
        flip_indices: Sequence[int],
        move_maps: bool = True,
    ) -> MovedTeacher:
        """Return a view of normalized images for each branch, and the teacher's keypoints in it.

        Args:
            images: Normalized images, (B, 3, H, W).
            maps: Maps of the teacher of each branch, (M, B, K, H', W').
            adapter: Adapter of the maps.
            flip_indices: For every keypoint, the one that takes its place in a mirrored image.
            move_maps: Whether to move the maps too, not only their peaks.
        """
        shape = maps.shape[:2]
        rotates = adapter.rotates or not move_maps
        linear, offset, flipped = self._draw(shape, images, rotates, flip_indices)
        swap = partial(swapped, flipped, flip_indices)
        places, heights = (swap(found.flatten(0, 1)) for found in adapter.peaks(maps))
        places = inverse(linear, places - offset[:, None])
        moved = None
        if move_maps:
            moved = swap(adapter.warp(maps.flatten(0, 1), linear, offset)).unflatten(0, shape)
        height, width = images.shape[-2:]
        size = torch.stack([offset.new_full((), side - 1) for side in (width, height)])
        inside = ((places >= 0) & (places <= size)).all(-1)
        views = warp(images.repeat(shape[0], 1, 1, 1), linear, offset)
        views = self.photometric.augment(views.unflatten(0, shape))
        places, heights, inside = (t.unflatten(0, shape) for t in (places, heights, inside))
        views = views * ~self._hidden(views, places)
        return MovedTeacher(BranchViews(views.to(images.dtype)), places, heights, inside, moved)

    def mirrors(self, flip_indices: Sequence[int]) -> bool:
        """Return whether some images are mirrored. Without flip pairs, none is."""
        return self.flip > 0 and list(flip_indices) != list(range(len(flip_indices)))

    def _draw(
        self, shape: Sequence[int], images: Tensor, rotates: bool, flip_indices: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a move for every view: matrices (M * B, 2, 2), vectors (M * B, 2), flips (M * B)."""
        height, width = images.shape[-2:]
        draws = torch.rand(5, math.prod(shape), device=images.device)
        angle, zoom, x, y = draws[:4] * 2 - 1
        angle = angle * (self.rotation if rotates else 0.0)
        flipped = draws[4] < (self.flip if self.mirrors(flip_indices) else 0.0)
        sign = 1 - 2 * flipped.float()
        size = 1 + zoom * self.scale
        cos, sin = angle.cos() * size, angle.sin() * size
        linear = torch.stack(
            [torch.stack([cos * sign, -sin], -1), torch.stack([sin * sign, cos], -1)], 1
        )
        # The move keeps the center of the image where it is, except for the shift.
        at_x, at_y = (width - 1) / 2, (height - 1) / 2
        center_x = linear[:, 0, 0] * at_x + linear[:, 0, 1] * at_y
        center_y = linear[:, 1, 0] * at_x + linear[:, 1, 1] * at_y
        shifts = [
            at_x - center_x + x * self.shift * width,
            at_y - center_y + y * self.shift * height,
        ]
        return linear, torch.stack(shifts, -1), flipped

    def _hidden(self, views: Tensor, places: Tensor) -> Tensor:
        """Return a mask of the pixels near some of the joints, (M, B, 1, H, W)."""
        height, width = views.shape[-2:]
        chosen = torch.rand(places.shape[:-1], device=views.device) * places.shape[-2] < self.joints
        near = max(height, width) * self.joint_size / 2
        columns, rows = (
            (torch.arange(length, device=views.device) - at[..., None]).abs() <= near
            for length, at in ((width, places[..., 0]), (height, places[..., 1]))
        )
        squares = (rows & chosen[..., None]).float().transpose(-1, -2) @ columns.float()
        return (squares > 0)[:, :, None]


def swapped(flipped: Tensor, flip_indices: Sequence[int], values: Tensor) -> Tensor:
    """Swap left and right keypoints of mirrored images, (B, K, ...)."""
    # Single slices: an index tensor would have to be sent to the device in every step.
    mirrored = torch.stack([values[:, index] for index in flip_indices], 1)
    return torch.where(flipped.view(-1, *[1] * (values.dim() - 1)), mirrored, values)
