"""Replace deconvolutions by convolutions in a graph: the same sums, faster on CPUs.

Every other output row of a 4x4 deconvolution of stride 2 sees the same two rows of the kernel, and
columns in the same way: it is four 2x2 convolutions whose outputs are interleaved. onnxruntime
uses a cache-blocked layout for convolutions but not for deconvolutions. The cost of interleaving
grows with the channels. Layers that act on every pixel alone (batch norm, ReLU, the head's last
layer) act before it, and leave few channels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeGuard

import torch
import torch.nn.functional as F
from mmpose.models.heads import HeatmapHead
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

PARITIES = tuple((row, column) for row in (0, 1) for column in (0, 1))
# Rows of the kernel that an even output row sees, from above to below; and an odd one.
TAPS = ([3, 1], [2, 0])


class FourConvolutions(nn.Module):
    """A deconvolution of kernel 4, stride 2 and padding 1, and pointwise layers after it.

    Args:
        deconvolution: The original.

    Attributes:
        pointwise: The layers after it, empty at first.
    """

    def __init__(self, deconvolution: nn.ConvTranspose2d):
        super().__init__()
        weight, bias = deconvolution.weight.detach().transpose(0, 1), deconvolution.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach())
        self.weights = nn.ParameterList(
            weight[:, :, TAPS[row]][..., TAPS[column]].contiguous() for row, column in PARITIES
        )
        self.pointwise = nn.Sequential()

    def forward(self, features: Tensor) -> Tensor:
        """Return features of twice the height and width."""
        outputs = []
        for (row, column), weight in zip(PARITIES, self.weights, strict=True):
            padded = F.pad(features, (1 - column, column, 1 - row, row))
            outputs.append(self.pointwise(F.conv2d(padded, weight, self.bias)))
        return F.pixel_shuffle(torch.stack(outputs, 2).flatten(1, 2), 2)


def without_deconvolutions(student: BasePoseEstimator) -> BasePoseEstimator:
    """Return a copy in evaluation mode without the usual deconvolutions of heads."""
    student = copy.deepcopy(student).eval()
    for module in list(student.modules()):
        if isinstance(module, HeatmapHead):
            _join(module)
    for sequence in [module for module in student.modules() if type(module) is nn.Sequential]:
        layers = _rewritten(list(sequence))
        del sequence[:]
        sequence.extend(layers)
    return student


def _join(head: HeatmapHead) -> None:
    """Put all layers of a head into one sequence, so that the last ones are seen as followers."""
    parts = (head.deconv_layers, head.conv_layers, head.final_layer)
    layers = [part if isinstance(part, nn.Sequential) else [part] for part in parts]
    head.deconv_layers = nn.Sequential(*(layer for part in layers for layer in part))
    head.conv_layers = head.final_layer = nn.Identity()


def _rewritten(layers: Sequence[nn.Module]) -> list[nn.Module]:
    rewritten: list[nn.Module] = []
    for layer in layers:
        last = rewritten[-1] if rewritten else None
        if isinstance(last, FourConvolutions) and _is_pointwise(layer):
            last.pointwise.append(layer)
        else:
            rewritten.append(FourConvolutions(layer) if _is_usual(layer) else layer)
    return rewritten


def _is_pointwise(layer: nn.Module) -> bool:
    one_by_one = (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride == (1, 1)
        and layer.padding == (0, 0)
    )
    return one_by_one or isinstance(layer, (nn.Identity, nn.ReLU, _BatchNorm))


def _is_usual(layer: nn.Module) -> TypeGuard[nn.ConvTranspose2d]:
    return (
        isinstance(layer, nn.ConvTranspose2d)
        and layer.kernel_size == (4, 4)
        and layer.stride == (2, 2)
        and layer.padding == (1, 1)
        and layer.output_padding == (0, 0)
        and layer.dilation == (1, 1)
        and layer.groups == 1
    )
