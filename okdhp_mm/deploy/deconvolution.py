"""Deconvolutions as convolutions, for the graph alone: the same sums, in an order that CPUs like.

Every other output row of a 4x4 deconvolution of stride 2 sees the same two rows of the kernel, and
columns likewise: it is four 2x2 convolutions whose outputs are interleaved. onnxruntime blocks the
memory of convolutions for the cache, and that of deconvolutions it does not.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

PARITIES = tuple((row, column) for row in (0, 1) for column in (0, 1))
# Rows of the kernel that an even output row sees, from above to below; and an odd one.
TAPS = ([3, 1], [2, 0])


class FourConvolutions(nn.Module):
    """A deconvolution of kernel 4, stride 2 and padding 1.

    Args:
        deconvolution: The original.
    """

    def __init__(self, deconvolution: nn.ConvTranspose2d):
        super().__init__()
        weight, bias = deconvolution.weight.detach().transpose(0, 1), deconvolution.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach())
        self.weights = nn.ParameterList(
            weight[:, :, TAPS[row]][..., TAPS[column]].contiguous() for row, column in PARITIES
        )

    def forward(self, features: Tensor) -> Tensor:
        """Twice the height and width."""
        outputs = [
            F.conv2d(F.pad(features, (1 - column, column, 1 - row, row)), weight, self.bias)
            for (row, column), weight in zip(PARITIES, self.weights, strict=True)
        ]
        return F.pixel_shuffle(torch.stack(outputs, 2).flatten(1, 2), 2)


def without_deconvolutions(student: nn.Module) -> nn.Module:
    """A copy in evaluation mode with the deconvolutions of the heads' usual kind replaced."""
    student = copy.deepcopy(student).eval()
    for sequence in [module for module in student.modules() if type(module) is nn.Sequential]:
        for i, layer in enumerate(sequence):
            if not _is_usual(layer):
                continue
            # The exporter folds no batch norm into what is interleaved.
            if i + 1 < len(sequence) and isinstance(sequence[i + 1], _BatchNorm):
                layer = fuse_conv_bn_eval(layer, sequence[i + 1], transpose=True)
                sequence[i + 1] = nn.Identity()
            sequence[i] = FourConvolutions(layer)
    return student


def _is_usual(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.ConvTranspose2d)
        and layer.kernel_size == (4, 4)
        and layer.stride == (2, 2)
        and layer.padding == (1, 1)
        and layer.output_padding == (0, 0)
        and layer.dilation == (1, 1)
        and layer.groups == 1
    )
