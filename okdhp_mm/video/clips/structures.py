"""Types of clips. T is the number of frames of a clip, B the number of clips of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmpose.structures import PoseDataSample
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one person in one video.

    Attributes:
        inputs: Crops of the frames, T x (3, H, W), uint8. Predicted clips have none.
        data_samples: The person in each frame, T samples. The metainfo has ``input_rotation``,
            the rotation of the crop in degrees.
    """

    inputs: Sequence[Tensor]
    data_samples: Sequence[PoseDataSample]


@dataclass(frozen=True)
class Frame:
    """The same frame of several clips.

    Attributes:
        inputs: Normalized crops, (B, 3, H, W).
        data_samples: B samples.
    """

    inputs: Tensor
    data_samples: list[PoseDataSample]


@dataclass(frozen=True)
class ClipBatch:
    """Batch of clips, frame by frame, the longest clip first.

    Attributes:
        frames: As many as the longest clip has. The clips of frame t + 1 are the first ones of
            frame t, because shorter clips end earlier.
        order: Indices of the clips in the batch of the data loader.
    """

    frames: list[Frame]
    order: list[int]
