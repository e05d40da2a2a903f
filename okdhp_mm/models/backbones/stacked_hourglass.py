"""Stacked hourglass with heatmap feedback (Newell et al.), the network of the OKDHP paper."""

from __future__ import annotations

from mmengine.model import BaseModule, ModuleList, Sequential
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...errors import UserError

STRIDE = 4
"""Stride of the features and the heatmaps relative to the image."""

SMALL = dict(type='Normal', layer='Conv2d', std=0.005, bias=0.0)


@MODELS.register_module()
class StackedHourglass(BaseBackbone):
    """Stacked hourglass (Newell et al., ECCV 2016, https://arxiv.org/abs/1603.06937).

    It is the student of OKDHP (https://arxiv.org/abs/2108.02092). Each stack is an hourglass of
    pre-activation bottlenecks. Its heatmaps are fed back into the features of the next stack.
    Because every stack needs its heatmaps, the backbone computes them, and mmpose's head has no
    layers: ``dict(type='CPMHead', num_stages=S, in_channels=K, out_channels=K,
    deconv_out_channels=None, final_layer=None)``. mmpose's ``HourglassNet`` is another network
    (CornerNet's) without this feedback.

    Args:
        num_stacks: S.
        num_keypoints: K.
        feat_channels: Channels C between the stacks, divisible by 4.
        depth: Number of times that an hourglass halves its feature map.
        num_blocks: Number of bottlenecks at every place of the hourglass.
        init_cfg: As in every mmengine module. By default, convolutions start with small weights,
            like those of mmpose's heads, so the first heatmaps are small. With PyTorch's
            initialization (``init_cfg=None``, the authors'), the first heatmaps are far larger
            than the targets, and hundreds of steps are needed to reduce them.

    Shape:
        forward: (B, 3, H, W) -> S heatmaps (B, K, H/4, W/4), in the order of the stacks. H and W
        are divisible by ``4 * 2**depth``.

    Raises:
        UserError: If a number is out of range, or the image size is not divisible.
    """

    def __init__(
        self,
        num_stacks: int = 2,
        num_keypoints: int = 16,
        feat_channels: int = 256,
        depth: int = 4,
        num_blocks: int = 1,
        init_cfg=SMALL,
    ):
        super().__init__(init_cfg)
        if min(num_stacks, num_keypoints, feat_channels, depth, num_blocks) < 1:
            raise UserError(
                f'StackedHourglass: num_stacks={num_stacks}, num_keypoints={num_keypoints}, '
                f'feat_channels={feat_channels}, depth={depth} and num_blocks={num_blocks} must be '
                'at least 1.'
            )
        if feat_channels % 4:
            raise UserError(
                f'StackedHourglass: feat_channels={feat_channels} must be divisible by 4, because '
                'the stem has a quarter of them.'
            )
        self.depth = depth
        self.stem = Stem(feat_channels)
        self.stacks = ModuleList(
            Stack(feat_channels, num_keypoints, depth, num_blocks, feeds_back=s < num_stacks - 1)
            for s in range(num_stacks)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the heatmaps of every stack."""
        self.check_size(images)
        x = self.stem(images)
        scores = []
        for stack in self.stacks:
            x, score = stack(x)
            scores.append(score)
        return tuple(scores)

    def check_size(self, images: Tensor) -> None:
        """Check that every hourglass can halve its feature map ``depth`` times.

        Raises:
            UserError: If the image size is not divisible.
        """
        multiple = STRIDE * 2**self.depth
        height, width = images.shape[-2:]
        if height % multiple or width % multiple:
            raise UserError(
                f'StackedHourglass of depth {self.depth}: the input size {width}x{height} must be '
                f'a multiple of {multiple} in both directions.'
            )


class Stem(BaseModule):
    """Stem: features at a quarter of the image size, (B, 3, H, W) -> (B, C, H/4, W/4)."""

    def __init__(self, feat_channels: int):
        super().__init__()
        half, quarter = feat_channels // 2, feat_channels // 4
        self.conv = nn.Conv2d(3, quarter, 7, stride=2, padding=3)
        self.norm = nn.BatchNorm2d(quarter)
        self.relu = nn.ReLU(inplace=True)
        self.widen = Bottleneck(quarter, half)
        self.pool = nn.MaxPool2d(2)
        self.blocks = Sequential(
            Bottleneck(half, feat_channels), Bottleneck(feat_channels, feat_channels)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features of the images."""
        x = self.relu(self.norm(self.conv(images)))
        return self.blocks(self.pool(self.widen(x)))


class Stack(BaseModule):
    """Stack: an hourglass, its heatmaps, and the feedback of the heatmaps into the features.

    Args:
        feat_channels: C.
        num_keypoints: K.
        depth: Depth of the hourglass.
        num_blocks: Number of bottlenecks at every place of the hourglass.
        feeds_back: Whether another stack follows.

    Shape:
        forward: (B, C, H, W) -> (B, C, H, W) and the heatmaps (B, K, H, W). The first output is
        the input of the next stack. For the last stack, it is the features below its heatmaps.
    """

    def __init__(
        self, feat_channels: int, num_keypoints: int, depth: int, num_blocks: int, feeds_back: bool
    ):
        super().__init__()
        self.hourglass = Hourglass(feat_channels, depth, num_blocks)
        self.block = bottlenecks(feat_channels, num_blocks)
        self.project = Sequential(
            nn.Conv2d(feat_channels, feat_channels, 1),
            nn.BatchNorm2d(feat_channels),
            nn.ReLU(inplace=True),
        )
        self.score = nn.Conv2d(feat_channels, num_keypoints, 1)
        self.feeds_back = feeds_back
        if feeds_back:
            self.link_features = nn.Conv2d(feat_channels, feat_channels, 1)
            self.link_score = nn.Conv2d(num_keypoints, feat_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the next stack, or the last stack's features, and the heatmaps."""
        features = self.project(self.block(self.hourglass(x)))
        score = self.score(features)
        if not self.feeds_back:
            return features, score
        return x + self.link_features(features) + self.link_score(score), score


class Hourglass(BaseModule):
    """Hourglass: halve the feature map ``depth`` times, double it again, with skip paths.

    Args:
        feat_channels: C.
        depth: Number of times to halve the feature map.
        num_blocks: Number of bottlenecks at every place.
    """

    def __init__(self, feat_channels: int, depth: int, num_blocks: int):
        super().__init__()
        self.beside = bottlenecks(feat_channels, num_blocks)
        self.pool = nn.MaxPool2d(2)
        self.down = bottlenecks(feat_channels, num_blocks)
        if depth > 1:
            self.inner = Hourglass(feat_channels, depth - 1, num_blocks)
        else:
            self.inner = bottlenecks(feat_channels, num_blocks)
        self.up = bottlenecks(feat_channels, num_blocks)
        self.upsample = nn.Upsample(scale_factor=2, mode='nearest')

    def forward(self, x: Tensor) -> Tensor:
        """Compute features of the same size, with a larger receptive field."""
        return self.beside(x) + self.upsample(self.up(self.inner(self.down(self.pool(x)))))


class Bottleneck(BaseModule):
    """Pre-activation bottleneck: three times BN, ReLU, convolution (1x1, 3x3, 1x1), and a skip.

    The inner width is half of ``out_channels``. The convolutions have biases. The skip path is a
    1x1 convolution if the widths differ.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        width = out_channels // 2
        self.layers = Sequential(
            *pre_activated(in_channels, width, 1),
            *pre_activated(width, width, 3),
            *pre_activated(width, out_channels, 1),
        )
        same = in_channels == out_channels
        self.beside = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features, (B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return self.layers(x) + self.beside(x)


def pre_activated(in_channels: int, out_channels: int, kernel_size: int) -> tuple[nn.Module, ...]:
    """Return batch norm, ReLU and convolution."""
    return (
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
    )


def bottlenecks(channels: int, count: int) -> Sequential:
    """Return a sequence of bottlenecks of equal width."""
    return Sequential(*(Bottleneck(channels, channels) for _ in range(count)))
