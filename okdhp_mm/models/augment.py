"""Augmentation of the training images per branch, or once for all branches."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError
from ..structures import BranchViews


@MODELS.register_module()
class PhotometricViews(nn.Module):
    """Photometric augmentation: change colors and mask a rectangle, per image and view.

    PCL (Wu & Gong, AAAI 2021, https://arxiv.org/abs/2006.04147) augments the image of each peer
    separately. Only photometric changes are applied here, because geometric ones would misalign
    the heatmaps of the branches. The data pipeline applies geometric changes, equal for all
    branches. With several GPUs, set ``randomness=dict(diff_rank_seed=True)``; otherwise mmengine
    gives all processes the same random numbers.

    Args:
        brightness: Largest shift, in standard deviations of the dataset (the images are
            normalized).
        contrast: Largest relative change of the contrast, in [0, 1).
        color: Largest relative change of a single channel, in [0, 1).
        hide: Largest side of a rectangle that is replaced by the mean color, as a share of the
            image side, in [0, 1). Its position is random.
        same: Whether all branches get the same view. The trunk then runs once per image.

    Shape:
        (B, 3, H, W) -> :class:`BranchViews` (M, B, 3, H, W), with ``same`` -> (B, 3, H, W).

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        color: float = 0.2,
        hide: float = 0.3,
        same: bool = False,
    ):
        super().__init__()
        shares = dict(contrast=contrast, color=color, hide=hide)
        wrong = {name: share for name, share in shares.items() if not 0 <= share < 1}
        if wrong or brightness < 0:
            raise UserError(
                f'PhotometricViews: {wrong or dict(brightness=brightness)} is out of range. '
                'brightness must not be negative; the others must be in [0, 1).'
            )
        self.brightness = brightness
        self.contrast = contrast
        self.color = color
        self.hide = hide
        self.same = same

    @torch.no_grad()
    def forward(self, images: Tensor, num_views: int) -> BranchViews | Tensor:
        """Return one view of normalized images for each branch, or one for all."""
        views = self.augment(images.expand(1 if self.same else num_views, *images.shape))
        return views[0] if self.same else BranchViews(views)

    def augment(self, views: Tensor) -> Tensor:
        """Augment every image of every view, (M, B, 3, H, W)."""
        mean = views.mean((-3, -2, -1), keepdim=True)
        gain = 1 + self._draw(views, 1, self.contrast)
        tint = 1 + self._draw(views, 3, self.color)
        views = ((views - mean) * gain + mean) * tint + self._draw(views, 1, self.brightness)
        return views * ~self._hidden(views)

    @staticmethod
    def _draw(views: Tensor, channels: int, most: float) -> Tensor:
        """Draw from the uniform distribution over [-most, most], per view, image and channel."""
        shape = (*views.shape[:2], channels, 1, 1)
        return (torch.rand(shape, device=views.device, dtype=views.dtype) * 2 - 1) * most

    def _hidden(self, views: Tensor) -> Tensor:
        """Return a mask of the pixels in the rectangle of each image, (M, B, 1, H, W)."""
        inside = []
        for length in views.shape[-2:]:
            side, place = torch.rand(2, *views.shape[:2], 1, device=views.device)
            side = side * self.hide * length
            start = place * (length - side)
            at = torch.arange(length, device=views.device)
            inside.append((at >= start) & (at < start + side))
        rows, columns = inside
        return (rows[..., :, None] & columns[..., None, :])[:, :, None]
