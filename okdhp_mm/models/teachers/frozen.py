"""Teacher with the weights of an earlier training."""

from __future__ import annotations

import torch
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...errors import UserError
from ...io.checkpoint import load_checkpoint, load_weights
from ...io.config import read_config
from ..heads.adapters import find_adapter
from ..weights.load_stock import check_branched, is_branched
from .base import Teacher


@MODELS.register_module()
class FrozenTeacher(Teacher):
    """Frozen, trained teacher network, for offline distillation with the terms of the online one.

    Fast human pose estimation (Zhang et al., CVPR 2019, https://arxiv.org/abs/1811.05419)
    distills a trained network into a small one. DWPose (Yang et al., 2023,
    https://arxiv.org/abs/2307.15880) distills a network into its own head. The teacher gets the
    images of the student's data pipeline, without gradients. To measure its accuracy, test it
    separately.

    Args:
        config: Config file of the teacher: any top-down heatmap network of mmpose, or a training
            config of this package.
        checkpoint: Checkpoint of the teacher, a local file.
        output: Output of a multi-branch teacher to learn from, an index or 'ensemble'; None for
            the output that its config deploys.

    Raises:
        UserError: From :meth:`init_weights`, if ``config`` or ``checkpoint`` is missing or cannot
            be read, or the checkpoint is of another network.
    """

    name = 'frozen'
    is_init: bool

    def __init__(
        self,
        config: str | None = None,
        checkpoint: str | None = None,
        output: int | str | None = None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        self.config = config
        self.checkpoint = checkpoint
        self.output = output
        self.network: BasePoseEstimator | None = None

    def init_weights(self) -> None:
        """Build the network and load its weights."""
        if self.is_init:
            return
        if not self.config or not self.checkpoint:
            raise UserError(
                f'FrozenTeacher: config={self.config!r} and checkpoint={self.checkpoint!r} must '
                'both name files. Set model.teacher.config and model.teacher.checkpoint.'
            )
        self.network = read_teacher(self.config, self.checkpoint, self.output)
        head = self.network.head
        self._adapter = getattr(head, 'adapter', None) or find_adapter(head)
        self.is_init = True

    @torch.no_grad()
    def forward(self, images: Tensor, data_samples: list[PoseDataSample]) -> Tensor:
        """Return the final heatmaps of the network, (B, 3, H, W) -> (B, K, H', W')."""
        if self.network is None:
            raise UserError(
                'FrozenTeacher has no weights yet. Call model.init_weights() before the training.'
            )
        return self._adapter.to_maps(self.network(images, None, mode='tensor'))[-1]


def read_teacher(config: str, checkpoint: str, output: int | str | None) -> BasePoseEstimator:
    """Return the frozen network of a config and a checkpoint.

    Raises:
        UserError: If a file cannot be read, ``output`` is set for a network without branches, or
            the checkpoint is of another network.
    """
    model = read_config(config).model
    if output is not None:
        if 'branches' not in model:
            raise UserError(
                f'FrozenTeacher: output={output!r} chooses one of several branches, but {config} '
                'has no branches. Remove output.'
            )
        model.test_cfg = dict(model.get('test_cfg') or {}, branch=output)
    teacher = MODELS.build(model)
    state = load_checkpoint(checkpoint)['state_dict']
    if is_branched(teacher.state_dict()):
        check_branched(state, checkpoint)
    load_weights(teacher, state, f'FrozenTeacher: {checkpoint} is not a checkpoint of {config}')
    return teacher.requires_grad_(False).eval()
