"""Temporal discriminator: an adversary in the training of DKD."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.func import functional_call


@MODELS.register_module()
class TemporalDiscriminator(nn.Module):
    """Adversary that tells true changes of heatmaps from predicted ones, in training only.

    DKD trains with a temporal discriminator in addition to the loss on heatmaps. Public of the
    paper are its purpose and its reference to BEGAN (Berthelot et al., 2017,
    https://arxiv.org/abs/1703.10717); the rest is our reading. D is an autoencoder. From two frames
    and the change of the heatmaps between them, d(t) = h(t) - h(t-1), it reconstructs that change::

        L(d)    = mean (d - D(d, frames))^2
        loss_D  = L(d true) - k L(d predicted)            trains D
        loss_G  = L(d predicted)                          trains the estimator
        k      <- k + rate (balance L(d true) - L(d predicted)),  between 0 and 1

    One backward pass computes the gradients of both losses: loss_D sees detached heatmaps, and
    loss_G a detached D.

    Args:
        num_keypoints: K; the estimator fills it in.
        channels: Channels of the autoencoder.
        loss_weight: Weight of loss_G.
        balance: Ratio of both reconstruction errors that k holds.
        rate: Step size of k.
    """

    k: Tensor

    def __init__(
        self,
        num_keypoints: int,
        channels: int = 32,
        loss_weight: float = 0.01,
        balance: float = 0.5,
        rate: float = 0.001,
    ):
        super().__init__()
        self.loss_weight = loss_weight
        self.balance = balance
        self.rate = rate
        # Without batch norm: its statistics would mix true and predicted changes.
        self.layers = nn.Sequential(
            nn.Conv2d(num_keypoints + 6, channels, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, channels, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, num_keypoints, 4, 2, 1),
        )
        self.register_buffer('k', torch.zeros(()))

    def forward(self, changes: Tensor, frames: Tensor) -> Tensor:
        """Return the reconstructed changes, (N, K, H, W).

        Args:
            changes: Changes of the heatmaps, (N, K, H, W).
            frames: The two frames, (N, 6, H', W').
        """
        size = changes.shape[-2:]
        small = F.interpolate(frames, size=size, mode='bilinear', align_corners=False)
        # Odd sizes come out one larger.
        return self.layers(torch.cat((changes, small), 1))[..., : size[0], : size[1]]

    def losses(self, predicted: Tensor, true: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Return the losses of both sides, and update k.

        Args:
            predicted: Predicted heatmaps of the frames, (T, B, K, H, W).
            true: True heatmaps, in the same shape.
            frames: (T, B, 3, H', W').
        """
        pairs = torch.cat((frames[:-1], frames[1:]), 2).flatten(0, 1)
        fake, real = (each.diff(dim=0).flatten(0, 1) for each in (predicted, true))
        error_real = F.mse_loss(self(real, pairs), real)
        error_fake = F.mse_loss(self(fake.detach(), pairs), fake.detach())
        fixed = {name: value.detach() for name, value in self.named_parameters()}
        fooled = F.mse_loss(functional_call(self, fixed, (fake, pairs)), fake)
        losses = dict(
            loss_discriminator=error_real - self.k * error_fake,
            loss_adversarial=self.loss_weight * fooled,
        )
        with torch.no_grad():
            step = self.rate * (self.balance * error_real - error_fake)
            # A new tensor, because the loss above holds the old one until the backward pass.
            self.k = (self.k + step).clamp(0, 1)
        return losses
